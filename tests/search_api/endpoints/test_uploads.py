"""Adding pictures over HTTP."""

import hashlib
import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from indexer.errors import ServiceUnavailable
from search_api.endpoints.uploads import Intake
from search_api.multipart import Part
from tests.search_api.conftest import bring
from workers.runtime import Runtime


def _new_picture(seed: int) -> bytes:
    """A PNG no other test has."""
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 60, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def no_trace(client: TestClient, worker: Runtime):
    """Images a test adds are taken out again, so that others can count on the library."""
    added: list[int] = []
    yield added
    client.post("/v1/images/delete", json={"images": added})


def test_upload_is_followed_to_the_end(
    client: TestClient, worker: Runtime, library: dict[str, int], no_trace: list[int]
) -> None:
    """An accepted file has a job; once a worker was there, it is found and its job is done."""
    answer = client.post("/v1/images", files={"file": ("noise.png", _new_picture(1))})
    taken = answer.json()
    image_id = taken["items"][0]["image_id"]
    no_trace.append(image_id)
    assert answer.status_code == 202
    assert taken["items"][0]["status"] == "accepted"
    job = client.get(answer.headers["location"]).json()
    assert (job["done"], job["total"], job["pending"]) == (False, 1, 1)
    assert image_id not in [hit["id"] for hit in client.get("/v1/search").json()["hits"]]
    bring(worker, [image_id])
    job = client.get(answer.headers["location"]).json()
    assert (job["done"], job["indexed"], job["failures"]) == (True, 1, [])
    assert client.get("/v1/search").json()["hits"][0]["id"] == image_id


def test_same_bytes_are_one_image(
    client: TestClient, library: dict[str, int], photographs: dict[str, bytes]
) -> None:
    """A picture already in the library is recognised whatever it is called, and gains a source."""
    answer = client.post("/v1/images", files={"file": ("cup.png", photographs["coffee.png"])}).json()
    assert answer["items"][0]["status"] == "known"
    assert answer["items"][0]["image_id"] == library["coffee.png"]
    names = [s["name"] for s in client.get(f"/v1/images/{library['coffee.png']}").json()["sources"]]
    assert names == ["coffee.png", "cup.png"]
    assert client.get(f"/v1/jobs/{answer['job_id']}").json()["done"]


def test_one_refusal_costs_nobody_else(
    client: TestClient, library: dict[str, int], no_trace: list[int]
) -> None:
    """Too large, not an image and empty are refused one by one; the good file between them is taken."""
    files = [
        ("file", ("huge.png", b"\x89PNG\r\n\x1a\n" + bytes(3_000_000))),
        ("file", ("notes.txt", b"dear diary")),
        ("file", ("good.png", _new_picture(2))),
        ("file", ("empty.jpg", b"")),
    ]
    answer = client.post("/v1/images", files=files)
    items = answer.json()["items"]
    no_trace.append(items[2]["image_id"])
    assert answer.status_code == 202
    assert [item["status"] for item in items] == ["refused", "refused", "accepted", "refused"]
    assert [item["error"] and item["error"]["name"] for item in items] == [
        "too_large",
        "unsupported_format",
        None,
        "broken",
    ]
    assert items[0]["error"]["status"] == 413
    job = client.get(answer.headers["location"]).json()
    assert [failure["name"] for failure in job["failures"]] == ["huge.png", "notes.txt", "empty.jpg"]
    places = [failure["position"] for failure in job["failures"]]
    assert [files[place - 1][1][0] for place in places] == ["huge.png", "notes.txt", "empty.jpg"]


def test_broken_picture_fails_with_its_reason(
    client: TestClient, worker: Runtime, library: dict[str, int], no_trace: list[int]
) -> None:
    """What only decoding can tell is told by the job and by the image, and the image is no hit."""
    half = _new_picture(3)[:1500]
    taken = client.post("/v1/images", files={"file": ("half.png", half)}).json()
    image_id = taken["items"][0]["image_id"]
    no_trace.append(image_id)
    bring(worker, [image_id])
    job = client.get(f"/v1/jobs/{taken['job_id']}").json()
    assert (job["failed"], job["failures"][0]["code"]) == (1, "broken")
    image = client.get(f"/v1/images/{image_id}").json()
    assert image["state"] == "failed"
    assert image["error"]["code"] == "broken"
    assert image["thumbnail_url"] is None


def test_nothing_usable_is_a_problem(client: TestClient) -> None:
    """If every file was refused the request is too, with the first reason and all items."""
    answer = client.post("/v1/images", files={"file": ("a.pdf", b"%PDF-1.4 hello")})
    assert answer.status_code == 415
    assert answer.json()["items"][0]["status"] == "refused"
    assert "PDF" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "application/json"}, b"{}"),
        ({"content-type": "multipart/form-data"}, b"x"),
        ({"content-type": "multipart/form-data; boundary=b"}, b"not multipart at all"),
        ({"content-type": "multipart/form-data; boundary=b"}, b"--b--\r\n"),
    ],
)
def test_not_a_form(client: TestClient, headers: dict[str, str], body: bytes) -> None:
    """What is no multipart form is refused in words, never with a traceback."""
    answer = client.post("/v1/images", headers=headers, content=body)
    assert answer.status_code == 422
    assert answer.json()["name"] == "query_error"


def test_file_names_are_only_names(client: TestClient, library: dict[str, int], no_trace: list[int]) -> None:
    """Paths, control characters and other scripts in a name do no harm."""
    name = "..\\..\\etc/pass\x07wd été 猫.png"
    head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    body = head + _new_picture(4) + b"\r\n--edge--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=edge"}
    item = client.post("/v1/images", content=body, headers=headers).json()["items"][0]
    no_trace.append(item["image_id"])
    assert item["name"] == "passwd été 猫.png"


def test_bytes_deleted_while_they_are_sent_again_are_not_taken(
    client: TestClient, library: dict[str, int]
) -> None:
    """Found to be here already, then deleted by somebody else: nothing is promised that could not be kept."""
    services = client.app.state.services  # type: ignore[attr-defined]
    intake = Intake(services)
    intake.take(Part("file", "late.png", bytearray(_new_picture(77)), False))
    services.storage.delete(hashlib.sha256(_new_picture(77)).digest())
    before = client.get("/v1/stats").json()["images"]
    with pytest.raises(ServiceUnavailable, match="Send it once more"):
        intake.finish(lambda *_: None)
    assert client.get("/v1/stats").json()["images"] == before
