"""Pictures to search by."""

import pytest
from fastapi.testclient import TestClient

from indexer.catalog import annotations
from indexer.search import examples
from workers.runtime import Runtime

Photographs = dict[str, bytes]


def _token(client: TestClient, data: bytes) -> str:
    answer = client.post("/v1/examples", files={"file": ("x", data)})
    assert answer.status_code == 200
    return answer.json()["example"]


def test_form_and_body_agree(client: TestClient, photographs: Photographs) -> None:
    """A picture is the same example however it is sent."""
    data = photographs["coffee.png"]
    by_body = client.post("/v1/examples", content=data, headers={"content-type": "image/png"})
    assert by_body.json()["example"] == _token(client, data)


def test_token_is_the_indexed_embedding(
    client: TestClient, library: dict[str, int], photographs: Photographs, worker: Runtime
) -> None:
    """A shown picture and the same picture indexed are one point; other pictures are elsewhere."""
    embedder, who = worker.pipeline.models.embedder, worker.pipeline.annotators.embedder
    shown = examples.decode(
        _token(client, photographs["china.jpg"]), embedder.identity.version, embedder.dimension
    )
    with worker.pipeline.sessions() as session:
        stored = annotations.embeddings(session, list(library.values()), who).images
    cosines = {name: annotations.unpack(stored[image_id]) @ shown for name, image_id in library.items()}
    assert max(cosines, key=lambda name: cosines[name]) == "china.jpg"
    assert cosines["china.jpg"] == pytest.approx(1.0, abs=1e-3)
    assert sorted(cosines.values())[-2] < 0.95


@pytest.mark.parametrize(
    ("content", "status", "name"),
    [
        (b"hello, I am text", 415, "unsupported_format"),
        (b"\xff\xd8\xff\xe0" + b"junk" * 50, 422, "broken"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2_000_001), 413, "too_large"),
    ],
)
def test_what_is_no_picture(client: TestClient, content: bytes, status: int, name: str) -> None:
    """A file that is no usable picture is refused by its own reason, sent either way."""
    for answer in (
        client.post("/v1/examples", files={"file": ("x", content)}),
        client.post("/v1/examples", content=content, headers={"content-type": "image/jpeg"}),
    ):
        assert (answer.status_code, answer.json()["name"]) == (status, name)


def test_exactly_one_picture(client: TestClient, photographs: Photographs) -> None:
    """Nothing, fields alone and two files at once are refused with what to do."""
    two = [("file", ("x.jpg", photographs["rocket.jpg"]))] * 2
    assert "exactly one" in client.post("/v1/examples", files=two).json()["detail"]
    assert "exactly one" in client.post("/v1/examples", files={"text": (None, "cat")}).json()["detail"]
    assert "Send a picture" in client.post("/v1/examples").json()["detail"]
