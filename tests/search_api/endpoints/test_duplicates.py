"""Pictures that are there twice, over HTTP."""

import io
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from indexer.search import duplicates
from tests.search_api.conftest import bring
from workers.runtime import Runtime

Library = dict[str, int]


@pytest.fixture
def copy(
    client: TestClient, worker: Runtime, library: Library, photographs: dict[str, bytes]
) -> Iterator[int]:
    """A photograph of the library saved again as a smaller JPEG."""
    out = io.BytesIO()
    picture = Image.open(io.BytesIO(photographs["chelsea.png"])).convert("RGB")
    picture.resize((picture.width * 9 // 10, picture.height * 9 // 10)).save(out, "JPEG", quality=80)
    taken = client.post("/v1/images", files={"file": ("small.jpg", out.getvalue())}).json()
    image_id = taken["items"][0]["image_id"]
    bring(worker, [image_id])
    yield image_id
    client.delete(f"/v1/images/{image_id}")


def test_a_smaller_copy_is_found(client: TestClient, library: Library, copy: int) -> None:
    """The larger one first, with how alike they are; photographs of other things are in no group."""
    told = client.get("/v1/duplicates", params={"threshold": 0.9}).json()
    (group,) = told["groups"]
    assert [image["id"] for image in group["images"]] == [library["chelsea.png"], copy]
    assert (told["compared"], told["more"]) == (len(library) + 1, 0)
    assert group["images"][0]["similarity"] == pytest.approx(1.0, abs=1e-4)
    assert group["images"][1]["similarity"] == pytest.approx(group["similarity"], abs=1e-4)
    assert group["similarity"] > 0.9
    assert group["images"][1]["name"] == "small.jpg"


def test_only_the_answer_is_compared(client: TestClient, library: Library, copy: int) -> None:
    """A copy outside what the query finds is not looked at."""
    told = client.get("/v1/duplicates", params={"q": f"-id:{copy}", "threshold": 0.9}).json()
    assert (told["compared"], told["groups"]) == (len(library), [])


def test_too_many_to_compare(client: TestClient, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than can be compared is refused with what to do."""
    monkeypatch.setattr(duplicates, "MAX_IMAGES", 3)
    answer = client.get("/v1/duplicates")
    assert answer.status_code == 422
    assert "at most 3 can be compared at once. Narrow it" in answer.json()["detail"]
