"""The list of tags."""

from fastapi.testclient import TestClient


def test_counts_fall_and_agree_with_search(client: TestClient, library: dict[str, int]) -> None:
    """Tags come by falling count, and the count is how many images the tag finds."""
    tags = client.get("/v1/tags").json()["tags"]
    counts = [tag["images"] for tag in tags]
    assert counts == sorted(counts, reverse=True)
    found = client.post("/v1/search", json={"filter": {"tag": tags[0]["name"]}}).json()
    assert found["total"]["value"] == counts[0]


def test_prefix_and_pages(client: TestClient, library: dict[str, int]) -> None:
    """A prefix is of any word; pages follow each other."""
    client.put(f"/v1/images/{library['coffee.png']}/tags/espresso cup")
    names = [tag["name"] for tag in client.get("/v1/tags", params={"prefix": "espr"}).json()["tags"]]
    assert "espresso cup" in names
    names = [tag["name"] for tag in client.get("/v1/tags", params={"prefix": "CUP"}).json()["tags"]]
    assert "espresso cup" in names
    whole = client.get("/v1/tags", params={"limit": 4}).json()["tags"]
    second = client.get("/v1/tags", params={"limit": 2, "offset": 2}).json()["tags"]
    assert second == whole[2:]


def test_unused_only_on_demand(client: TestClient, library: dict[str, int]) -> None:
    """The whole vocabulary is there for those who ask."""
    used = client.get("/v1/tags", params={"limit": 1000}).json()["tags"]
    every = client.get("/v1/tags", params={"limit": 1000, "unused": True}).json()["tags"]
    assert len(every) > len(used)
    assert all(tag["images"] for tag in used)


def test_completion_counts_and_names_the_alias(client: TestClient, library: dict[str, int]) -> None:
    """Letters of any word of a tag lead to it, with how many images it finds; another name says which."""
    client.put(f"/v1/images/{library['coffee.png']}/tags/double espresso")
    (found,) = client.get("/v1/tags/complete", params={"prefix": "espr", "limit": 100}).json()["tags"][:1]
    assert found["alias"] is None
    total = client.post("/v1/search", json={"filter": {"tag": found["name"]}}).json()["total"]
    assert total == {"value": found["count"], "relation": "eq"}
    names = client.get("/v1/tags/complete", params={"prefix": "double_e"}).json()["tags"]
    assert [name["name"] for name in names] == ["double espresso"]
    assert client.get("/v1/tags/complete", params={"limit": 0}).status_code == 422
