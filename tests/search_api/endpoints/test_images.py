"""One image, its thumbnail and its original."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from indexer.catalog import images
from indexer.ingest import read_file
from tests.search_api.conftest import bring
from workers.runtime import Runtime

Library = dict[str, int]


def test_everything_known(client: TestClient, library: Library, photographs: dict[str, bytes]) -> None:
    """An image tells its identity, size, captions and tags with who says so, and sources."""
    image = client.get(f"/v1/images/{library['chelsea.png']}").json()
    data = photographs["chelsea.png"]
    assert image["content_hash"] == hashlib.sha256(data).hexdigest()
    assert (image["width"], image["height"]) == Image.open(io.BytesIO(data)).size
    assert (image["state"], image["format"], image["bytes"]) == ("indexed", "png", len(data))
    assert image["captions"][0]["source"]["kind"] == "model"
    assert len(image["captions"][0]["source"]["version"]) == 12
    assert image["sources"][0]["kind"] == "upload"


def test_what_is_held_is_not_sent_again(client: TestClient, library: Library) -> None:
    """Asked again with its ETag, an image is 304 without a body until something is said of it."""
    address = f"/v1/images/{library['chelsea.png']}"
    etag = client.get(address).headers["etag"]
    again = client.get(address, headers={"If-None-Match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    client.put(f"{address}/tags/whiskers")
    assert client.get(address, headers={"If-None-Match": etag}).status_code == 200
    client.delete(f"{address}/statements/whiskers")
    assert client.get(address).headers["etag"] == etag


def test_its_collections_are_named(client: TestClient, library: Library) -> None:
    """In order, and only those it is in; to be in one more is a change that its ETag tells."""
    address = f"/v1/images/{library['coffee.png']}"
    before = client.get(address)
    made = [client.post("/v1/collections", json={"name": f"Shelf {n}"}).headers["location"] for n in "BAC"]
    for collection in made[:2]:
        client.post(f"{collection}/images", json={"images": [library["coffee.png"]]})
    after = client.get(address)
    assert (before.json()["collections"], after.json()["collections"]) == ([], ["Shelf A", "Shelf B"])
    assert before.headers["etag"] != after.headers["etag"]
    for collection in made:
        client.delete(collection)
    assert client.get(address).headers["etag"] == before.headers["etag"]


@pytest.mark.parametrize("image_id", ["0", "-1", "424242", str(2**70)])
def test_no_such_image(client: TestClient, image_id: str) -> None:
    """Ids that name nothing, even impossible ones, are 404."""
    for path in ("", "/thumbnail", "/original"):
        answer = client.get(f"/v1/images/{image_id}{path}")
        assert (answer.status_code, answer.json()["name"]) == (404, "not_found")


def test_thumbnail_may_be_kept(client: TestClient, library: Library) -> None:
    """Under the link handed out it is immutable; asked again with its ETag it is not sent again."""
    image = client.get(f"/v1/images/{library['rocket.jpg']}").json()
    answer = client.get(image["thumbnail_url"])
    picture = Image.open(io.BytesIO(answer.content))
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]
    assert max(picture.size) <= 512
    again = client.get(image["thumbnail_url"], headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    unversioned = client.get(f"/v1/images/{image['id']}/thumbnail")
    assert "immutable" not in unversioned.headers["cache-control"]


def test_original_is_sent_byte_for_byte(
    client: TestClient, library: Library, photographs: dict[str, bytes]
) -> None:
    """An uploaded file comes back as it was, under its own name, unable to run anything."""
    answer = client.get(f"/v1/images/{library['coffee.png']}/original")
    assert answer.content == photographs["coffee.png"]
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"] == "inline; filename*=UTF-8''coffee.png"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def _index(worker: Runtime, path: Path) -> int:
    with worker.pipeline.sessions.begin() as session:
        [row] = images.register(session, [read_file(path, path.as_uri(), 10**8)])
    bring(worker, [row.image_id])
    return row.image_id


def test_file_in_a_folder_only_while_unchanged(
    client: TestClient, library: Library, worker: Runtime, tmp_path: Path
) -> None:
    """A file indexed where it lies is sent while its content is what was indexed, and never otherwise."""
    path = tmp_path / "été & more.tiff"
    Image.linear_gradient("L").save(path)
    content = path.read_bytes()
    image_id = _index(worker, path)
    try:
        answer = client.get(f"/v1/images/{image_id}/original")
        assert answer.content == content
        assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''%C3%A9t%C3%A9")
        path.write_bytes(content[:-1] + b"!")
        assert client.get(f"/v1/images/{image_id}/original").status_code == 404
        path.unlink()
        path.symlink_to("/etc/passwd")
        assert client.get(f"/v1/images/{image_id}/original").status_code == 404
    finally:
        client.delete(f"/v1/images/{image_id}")


def _picture(path: Path, seed: int) -> Path:
    """A picture of its own."""
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def _upload(client: TestClient, worker: Runtime, path: Path) -> int:
    taken = client.post("/v1/images", files={"file": (path.name, path.read_bytes())}).json()
    image_id = taken["items"][0]["image_id"]
    bring(worker, [image_id])
    return int(image_id)


def test_removed_is_gone_when_it_is_answered(
    client: TestClient, library: Library, worker: Runtime, tmp_path: Path
) -> None:
    """From browsing and from search by words, before any worker was there; Milvus follows."""
    image_id = _upload(client, worker, _picture(tmp_path / "gone.png", 1))
    assert client.delete(f"/v1/images/{image_id}").status_code == 204
    for body in ({}, {"text": "noise", "all": True}):
        assert image_id not in [hit["id"] for hit in client.post("/v1/search", json=body).json()["hits"]]
    assert client.get(f"/v1/images/{image_id}").status_code == 404
    assert client.delete(f"/v1/images/{image_id}").status_code == 404
    worker.publisher.drain()
    [store] = worker.stores._opened.values()
    assert store.of([image_id]).image_ids == []


def test_an_original_may_be_kept(
    client: TestClient, library: Library, worker: Runtime, tmp_path: Path
) -> None:
    """If asked, an upload's bytes stay in the store; otherwise they go with the image."""
    path = _picture(tmp_path / "kept.png", 2)
    digest = hashlib.sha256(path.read_bytes()).digest()
    for keeps in (True, False):
        image_id = _upload(client, worker, path)
        client.delete(f"/v1/images/{image_id}", params={"originals": not keeps})
        assert worker.storage.has_original(digest) is keeps


def test_an_image_somebody_changed_is_not_removed_unseen(
    client: TestClient, library: Library, worker: Runtime, tmp_path: Path
) -> None:
    """With `If-Match` of what was seen before the change: 412, and it is still there."""
    image_id = _upload(client, worker, _picture(tmp_path / "changed.png", 3))
    seen = client.get(f"/v1/images/{image_id}").headers["etag"]
    client.put(f"/v1/images/{image_id}/tags/keep")
    assert client.delete(f"/v1/images/{image_id}", headers={"If-Match": seen}).status_code == 412
    assert client.delete(f"/v1/images/{image_id}").status_code == 204


def test_many_are_removed_at_once(
    client: TestClient, library: Library, worker: Runtime, tmp_path: Path
) -> None:
    """By ids, one of which names nothing, or by a query; each item says what became of it."""
    ids = [_upload(client, worker, _picture(tmp_path / f"many{i}.png", 10 + i)) for i in range(3)]
    for image_id in ids:
        client.put(f"/v1/images/{image_id}/tags/doomed")
    told = client.post("/v1/images/delete", json={"images": [ids[0], 424242]}).json()
    assert (told["removed"], told["missing"]) == (1, 1)
    assert told["items"][1] == {"image_id": 424242, "status": "missing"}
    told = client.post("/v1/images/delete", json={"q": "tag:doomed"}).json()
    assert sorted(item["image_id"] for item in told["items"]) == ids[1:]
    assert client.post("/v1/images/delete", json={}).status_code == 422
