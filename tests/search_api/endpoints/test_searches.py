"""Saved searches over HTTP."""

from fastapi.testclient import TestClient

Library = dict[str, int]


def test_kept_counted_changed_and_forgotten(client: TestClient, library: Library) -> None:
    """Kept in canonical form, counted anew at each look, found in the list until forgotten."""
    tag = client.get("/v1/tags").json()["tags"][0]
    answer = client.post("/v1/searches", json={"name": "Most", "query": f'tag:"{tag["name"]}" has:caption'})
    address, kept = answer.headers["location"], answer.json()
    assert (answer.status_code, kept["count"], kept["exact"]) == (201, tag["images"], True)
    found = client.post("/v1/search", json={"q": kept["query"]}).json()
    assert found["query"] == kept["query"]
    changed = client.patch(address, json={"query": "tagcount:0", "name": "Untagged"}).json()
    assert (changed["name"], changed["count"]) == ("Untagged", 0)
    assert changed in client.get("/v1/searches").json()["searches"]
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


def test_one_that_cannot_be_answered_hides_no_other(client: TestClient, library: Library) -> None:
    """What it names may be gone: it is listed without a count."""
    made = [
        client.post("/v1/searches", json={"name": name, "query": query}).json()
        for name, query in (("gone tag", "tag:nosuchtagatall"), ("gone image", "like:123456"), ("fine", ""))
    ]
    counts = {one["name"]: one["count"] for one in client.get("/v1/searches").json()["searches"]}
    assert {name: counts[name] for name in ("gone tag", "gone image")} == {
        "gone tag": None,
        "gone image": None,
    }
    assert counts["fine"] == len(library)
    for one in made:
        client.delete(f"/v1/searches/{one['id']}")


def test_what_cannot_be_kept(client: TestClient, library: Library) -> None:
    """A slip in the query is pointed at, a name given twice is 409, one that is nothing 422."""
    slip = client.post("/v1/searches", json={"name": "x", "query": "widht:2000"})
    assert (slip.status_code, slip.json()["name"]) == (422, "query_syntax_error")
    assert (slip.json()["position"], slip.json()["suggestions"][0]) == (0, "width")
    first = client.post("/v1/searches", json={"name": "same", "query": ""}).json()
    again = client.post("/v1/searches", json={"name": " same ", "query": ""})
    assert (again.status_code, again.json()["name"]) == (409, "name_taken")
    assert client.post("/v1/searches", json={"name": " ", "query": ""}).status_code == 422
    client.delete(f"/v1/searches/{first['id']}")
