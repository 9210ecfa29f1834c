"""Searching over HTTP."""

import json

import pytest
from fastapi.testclient import TestClient

Library = dict[str, int]


def _tag_on_some(client: TestClient, library: Library) -> str:
    """A tag that some images of the library show and others do not."""
    tags = client.get("/v1/tags", params={"limit": 1000}).json()["tags"]
    return next(tag["name"] for tag in tags if 0 < tag["images"] < len(library))


def test_browsing_lists_everything_newest_first(client: TestClient, library: Library) -> None:
    """Without conditions every indexed image is a hit, the last added first."""
    found = client.post("/v1/search", json={}).json()
    ids = [hit["id"] for hit in found["hits"]]
    assert ids == sorted(library.values(), reverse=True)
    assert found["total"] == {"value": len(library), "relation": "eq"}
    assert found["next_offset"] is None
    assert all(hit["score"] is None for hit in found["hits"])


def test_text_ranks_and_explains(client: TestClient, library: Library) -> None:
    """A text ranks all images by a score that is the weighted sum of the channels reported."""
    found = client.post("/v1/search", json={"text": "a cat", "limit": 4}).json()
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert found["next_offset"] == 4
    weights = found["weights"]
    for hit in found["hits"]:
        assert hit["score"] == pytest.approx(sum(weights[c] * s for c, s in hit["scores"].items()), abs=1e-6)


def test_pages_cover_the_ranking_once(client: TestClient, library: Library) -> None:
    """Page after page names every image exactly once."""
    seen, offset = [], 0
    while offset is not None:
        page = client.post("/v1/search", json={"text": "a red thing", "limit": 2, "offset": offset}).json()
        seen += [hit["id"] for hit in page["hits"]]
        offset = page["next_offset"]
    assert sorted(seen) == sorted(library.values())


def test_dropped_picture_finds_itself(
    client: TestClient, library: Library, photographs: dict[str, bytes]
) -> None:
    """Searching by a file that is in the library finds it first, with an image score of one."""
    found = client.post("/v1/search/image", files={"file": ("x.png", photographs["chelsea.png"])}).json()
    first = max(found["hits"], key=lambda hit: hit["scores"]["image"])
    assert first["id"] == library["chelsea.png"]
    assert first["scores"]["image"] == pytest.approx(1.0, abs=0.01)


def test_dropped_picture_obeys_the_filter(
    client: TestClient, library: Library, photographs: dict[str, bytes]
) -> None:
    """Form fields beside the file mean what they mean in JSON."""
    tag = _tag_on_some(client, library)
    found = client.post(
        "/v1/search/image",
        files={"file": ("x.jpg", photographs["rocket.jpg"])},
        data={"tag": tag, "limit": "3", "text": "rocket"},
    ).json()
    by_json = client.post("/v1/search", json={"tags": {"all": [tag]}, "limit": 1}).json()
    assert found["total"] == by_json["total"]
    assert all(tag in hit["matched_tags"] for hit in found["hits"])


def test_like_an_indexed_image(client: TestClient, library: Library) -> None:
    """An example image of the library is not its own hit."""
    example = library["coffee.png"]
    found = client.get("/v1/search", params={"like": example}).json()
    assert example not in [hit["id"] for hit in found["hits"]]
    assert found["total"]["value"] == len(library) - 1


def test_tag_filters_are_exact_complements(client: TestClient, library: Library) -> None:
    """Requiring and excluding a tag split the library without loss."""
    tag = _tag_on_some(client, library)
    inside = client.get("/v1/search", params={"tag": tag}).json()
    outside = client.get("/v1/search", params={"not": tag}).json()
    ids = [hit["id"] for hit in inside["hits"] + outside["hits"]]
    assert sorted(ids) == sorted(library.values())


def test_address_and_json_agree(client: TestClient, library: Library) -> None:
    """The same question asked both ways gets the same hits."""
    tag = _tag_on_some(client, library)
    asked = {"text": "a person", "tags": {"any": [tag], "min_confidence": 0.1}}
    by_json = client.post("/v1/search", json=asked).json()
    by_address = client.get(
        "/v1/search", params={"text": "a person", "any": tag, "min_confidence": 0.1}
    ).json()
    assert by_json["hits"] == by_address["hits"]


def test_unknown_tag_suggests_others(client: TestClient, library: Library) -> None:
    """A misspelt tag is a problem that names the tag and its nearest neighbours."""
    tag = next(name for name in (t["name"] for t in client.get("/v1/tags").json()["tags"]) if len(name) > 4)
    answer = client.post("/v1/search", json={"tags": {"all": [tag + "x"]}})
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["name"] == "unknown_tag"
    assert problem["tag"] == tag + "x"
    assert tag in problem["suggestions"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"limit": 0}, "/body/limit"),
        ({"limit": 501}, "/body/limit"),
        ({"tags": {"min_confidence": 1.5}}, "/body/tags/min_confidence"),
        ({"tag": ["dog"]}, "/body/tag"),
        ({"text": "x" * 1001}, "/body/text"),
    ],
)
def test_malformed_requests_name_the_field(client: TestClient, body: dict[str, object], pointer: str) -> None:
    """What cannot be meant is refused with a pointer to it."""
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 422
    assert answer.json()["name"] == "malformed_request"
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


def test_unknown_example_is_not_found(client: TestClient, library: Library) -> None:
    """An example id that names nothing is a 404 that says so."""
    answer = client.post("/v1/search", json={"like": [999_999]})
    assert answer.status_code == 404
    assert "999999" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "status", "name"),
    [
        (b"hello, I am text", 415, "unsupported_format"),
        (b"\xff\xd8\xff\xe0" + b"junk" * 50, 422, "broken"),
        (b"", 422, "broken"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2_000_001), 413, "too_large"),
    ],
)
def test_example_that_is_no_picture(client: TestClient, content: bytes, status: int, name: str) -> None:
    """A dropped file that is no usable picture is refused by its own reason."""
    answer = client.post("/v1/search/image", files={"file": ("x", content)})
    assert (answer.status_code, answer.json()["name"]) == (status, name)


def test_form_mistakes_are_named(client: TestClient, photographs: dict[str, bytes]) -> None:
    """Unknown fields, words for numbers and a missing file are told apart."""
    picture = {"file": ("x.jpg", photographs["rocket.jpg"])}
    for data, words in (
        ({"tags": "dog"}, "no field 'tags'"),
        ({"limit": "many"}, "limit is 'many'"),
        ({"like": "cat"}, "like is 'cat'"),
        ({"min_confidence": "9"}, "min_confidence is 9"),
    ):
        answer = client.post("/v1/search/image", files=picture, data=data)
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
    nothing = client.post("/v1/search/image", files={"text": (None, "cat")})
    assert "at least one picture" in nothing.json()["detail"]


def test_hits_carry_what_the_page_shows(client: TestClient, library: Library) -> None:
    """Each hit has its size, thumbnail, caption and tags with who says so."""
    hit = client.post("/v1/search", json={"limit": 1}).json()["hits"][0]
    image = hit["image"]
    assert image["width"] > 0
    assert image["height"] > 0
    assert image["caption"]
    assert client.get(image["thumbnail_url"]).status_code == 200
    sources = {json.dumps(tag["source"]["kind"]) for tag in image["tags"]}
    assert sources <= {'"model"', '"file"'}
    assert all(0 <= tag["confidence"] <= 1 for tag in image["tags"])
