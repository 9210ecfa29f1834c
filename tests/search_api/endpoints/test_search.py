"""Searching over HTTP."""

import json

import pytest
from fastapi.testclient import TestClient

from indexer.search import Count
from search_api.views import hits

Library = dict[str, int]


def _search(client: TestClient, **body: object) -> dict:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _ids(found: dict) -> list[int]:
    return [hit["id"] for hit in found["hits"]]


def _tag_on_some(client: TestClient, library: Library) -> str:
    """A tag that some images of the library show and others do not."""
    tags = client.get("/v1/tags", params={"limit": 1000}).json()["tags"]
    return next(tag["name"] for tag in tags if 0 < tag["images"] < len(library))


def test_browsing_lists_everything_newest_first(client: TestClient, library: Library) -> None:
    """Without conditions every indexed image is a hit, the last added first."""
    found = _search(client)
    assert _ids(found) == sorted(library.values(), reverse=True)
    assert found["total"] == {"value": len(library), "relation": "eq"}
    assert (found["next_cursor"], found["query"], found["hidden_below_cutoff"]["value"]) == (None, "", 0)
    assert all(hit["score"] is None for hit in found["hits"])


def test_text_ranks_and_explains(client: TestClient, library: Library) -> None:
    """Scores fall, each is the sum of its channels' parts, and the background they stand out from is told."""
    found = _search(client, text="a cat", all=True, explain=True)
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)
    for hit in found["hits"]:
        assert hit["score"] == pytest.approx(sum(part["part"] for part in hit["channels"].values()), abs=1e-6)
    assert set(found["explain"]["background"]) == {"image", "caption"}
    assert found["explain"]["plan"]


def test_what_does_not_stand_out_is_counted(client: TestClient, library: Library) -> None:
    """Shown and hidden together are all that pass the filter; `all` shows them."""
    found = _search(client, q="a cat")
    assert found["total"]["value"] + found["hidden_below_cutoff"]["value"] == len(library)
    assert sorted(_ids(_search(client, q="a cat", all=True))) == sorted(library.values())


@pytest.mark.parametrize("q", ["", "a red thing", "order:size", "a red thing order:added_asc"])
def test_pages_cover_the_answer_once(client: TestClient, library: Library, q: str) -> None:
    """Page after page, by GET and POST in turn, names every image exactly once."""
    seen: list[int] = []
    cursor, turn = None, 0
    while turn == 0 or cursor is not None:
        asked = {"q": q, "limit": 2, "all": True} | ({"cursor": cursor} if cursor else {})
        page = _search(client, **asked) if turn % 2 else client.get("/v1/search", params=asked).json()
        seen += _ids(page)
        cursor, turn = page["next_cursor"], turn + 1
    assert sorted(seen) == sorted(library.values())


def test_a_picture_shown_finds_itself(
    client: TestClient, library: Library, photographs: dict[str, bytes]
) -> None:
    """As a token in the query or beside it, with an image cosine of one; the filter holds as ever."""
    token = client.post("/v1/examples", files={"file": ("x", photographs["chelsea.png"])}).json()["example"]
    for found in (
        _search(client, q=f"like:{token} format:png", all=True),
        client.get("/v1/search", params={"q": "format:png", "like": token, "all": True}).json(),
    ):
        assert found["hits"][0]["id"] == library["chelsea.png"]
        assert found["hits"][0]["channels"]["image"]["cosine"] == pytest.approx(1.0, abs=0.01)
        assert set(_ids(found)) == {library[name] for name in library if name.endswith(".png")}


def test_like_an_indexed_image(client: TestClient, library: Library) -> None:
    """An example image of the library is not its own hit."""
    example = library["coffee.png"]
    found = client.get("/v1/search", params={"like": example, "all": True}).json()
    assert set(_ids(found)) == set(library.values()) - {example}


def test_tag_filters_are_exact_complements(client: TestClient, library: Library) -> None:
    """Requiring and excluding a tag split the library without loss, and the hits say that they show it."""
    tag = _tag_on_some(client, library)
    inside, outside = _search(client, filter={"tag": tag}), _search(client, filter={"none": [tag]})
    assert sorted(_ids(inside) + _ids(outside)) == sorted(library.values())
    assert all(hit["why"]["tags"][0]["name"] == tag for hit in inside["hits"])


def test_both_spellings_and_both_methods_agree(client: TestClient, library: Library) -> None:
    """The same question as text, as a tree and as an address has the same answer, told in canonical form."""
    tag = _tag_on_some(client, library)
    q = f'a person tag:"{tag}" width:>100'
    by_text = _search(client, q=q)
    by_tree = _search(client, text="a person", filter={"tag": tag, "width": {"gt": 100}})
    by_address = client.get("/v1/search", params={"q": q}).json()
    for other in (by_tree, by_address):
        assert (other["query"], other["hits"], other["total"]) == (
            by_text["query"],
            by_text["hits"],
            by_text["total"],
        )


def test_facets_are_counts_of_what_one_would_see(client: TestClient, library: Library) -> None:
    """Adding a value to the query finds as many as its count said; a facet ignores its own selection."""
    found = _search(client, q="format:png", facets=["tag", "format"])
    formats = {facet["value"]: facet["count"] for facet in found["facets"]["format"]}
    assert formats == {"png": 4, "jpeg": 2}
    fewer = _search(client, q="format:png", facets=["tag", "format"], facet_limit=1)["facets"]
    # What the query itself asks for is listed besides.
    assert [len(fewer["tag"]), len(fewer["format"])] == [1, 2]
    by_address = client.get("/v1/search?q=format:png&facets=tag,format&facet_limit=1").json()["facets"]
    assert by_address == fewer
    for facet in found["facets"]["tag"][:5]:
        narrowed = _search(client, q=f'format:png tag:"{facet["value"]}"')
        assert narrowed["total"]["value"] == facet["count"] > 0


def test_only_the_fields_asked_for(client: TestClient, library: Library) -> None:
    """Each hit has these and nothing else."""
    found = client.get("/v1/search", params={"fields": "id, image.caption"}).json()
    assert all(set(hit) == {"id", "image"} and set(hit["image"]) == {"caption"} for hit in found["hits"])


def test_a_field_that_no_hit_has_is_refused(client: TestClient, library: Library) -> None:
    """By address and by request, with those there are; a channel that did not count is only left out."""
    for field, there in (("captoin", "image"), ("image.captoin", "image.caption"), ("why.tag", "why.tags")):
        for answer in (
            client.get("/v1/search", params={"fields": field}),
            client.post("/v1/search", json={"fields": [field]}),
        ):
            assert answer.status_code == 422
            assert f"no field '{field}'" in answer.json()["detail"]
            assert there in answer.json()["detail"]
    found = client.get("/v1/search", params={"fields": "id,channels.tag,image.tags.name"})
    assert found.json()["total"]["value"] == len(library)


def test_what_is_hidden_is_at_most_the_rest() -> None:
    """Where at least so many stand out, at most the others do not."""
    assert hits.hidden(Count(5)).relation == "eq"
    assert hits.hidden(Count(5, exact=False)).relation == "lte"


def test_a_parameter_that_means_nothing_is_refused(client: TestClient, library: Library) -> None:
    """`query` for `q` must not count the whole library, nor be exported as the answer."""
    for address in ("/v1/search", "/v1/export"):
        answer = client.get(address, params={"query": "a cat"})
        assert (answer.status_code, answer.json()["name"]) == (422, "query_error")
        assert answer.json()["detail"].startswith("There is no parameter 'query'; there are q, ")


def test_unknown_tag_suggests_others(client: TestClient, library: Library) -> None:
    """A misspelt tag is a problem that names the tag, its nearest neighbours and where it stands."""
    tags = client.get("/v1/tags").json()["tags"]
    tag = next(tag["name"] for tag in tags if len(tag["name"]) > 4 and tag["name"].isalpha())
    answer = client.post("/v1/search", json={"q": f"snow tag:{tag}x"})
    problem = answer.json()
    assert (answer.status_code, problem["name"]) == (422, "unknown_tag")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["tag"], problem["position"]) == (f"{tag}x", 9)
    assert tag in problem["suggestions"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"limit": 0}, "/body/limit"),
        ({"limit": 501}, "/body/limit"),
        ({"facets": ["colour"]}, "/body/facets/0"),
        ({"facet_limit": 1001}, "/body/facet_limit"),
        ({"tag": ["dog"]}, "/body/tag"),
        ({"all": 1}, "/body/all"),
    ],
)
def test_malformed_requests_name_the_field(client: TestClient, body: dict[str, object], pointer: str) -> None:
    """What cannot be meant is refused with a pointer to it."""
    answer = client.post("/v1/search", json=body)
    assert (answer.status_code, answer.json()["name"]) == (422, "malformed_request")
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]


def test_cursors_belong_to_their_search(client: TestClient, library: Library) -> None:
    """Damaged, or another search's, they are refused with what to do."""
    cursor = _search(client, limit=1)["next_cursor"]
    for body, words in (({"cursor": cursor, "q": "a cat"}, "another search"), ({"cursor": "x"}, "damaged")):
        answer = client.post("/v1/search", json=body)
        assert (answer.status_code, words in answer.json()["detail"]) == (422, True)


def test_unknown_example_is_not_found(client: TestClient, library: Library) -> None:
    """An example id that names nothing is a 404 that says so."""
    answer = client.get("/v1/search", params={"like": "999999"})
    assert (answer.status_code, "999999" in answer.json()["detail"]) == (404, True)


def test_hits_carry_what_the_page_shows(client: TestClient, library: Library) -> None:
    """Each hit has its size, thumbnail, caption and tags with who says so."""
    image = _search(client, limit=1)["hits"][0]["image"]
    assert image["width"] > 0
    assert image["height"] > 0
    assert image["caption"]
    assert client.get(image["thumbnail_url"]).status_code == 200
    assert {json.dumps(tag["source"]["kind"]) for tag in image["tags"]} <= {'"model"', '"file"', '"human"'}
    assert all(0 <= tag["confidence"] <= 1 for tag in image["tags"])
