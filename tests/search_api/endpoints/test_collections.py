"""Collections over HTTP."""

from fastapi.testclient import TestClient

Library = dict[str, int]


def test_from_the_first_image_to_the_last(client: TestClient, library: Library) -> None:
    """Begun, filled, renamed, emptied and forgotten."""
    answer = client.post("/v1/collections", json={"name": "For Anna"})
    address = answer.headers["location"]
    assert (answer.status_code, answer.json()["images"]) == (201, 0)
    ids = [library["coffee.png"], library["china.jpg"]]
    added = client.post(f"{address}/images", json={"images": [*ids, 10**9]}).json()
    assert (added["changed"], added["collection"]["images"]) == (2, 2)
    assert client.patch(address, json={"name": "For Berta"}).json()["name"] == "For Berta"
    gone = client.post(f"{address}/images/remove", json={"images": ids[:1]}).json()
    assert (gone["changed"], gone["collection"]["images"]) == (1, 1)
    assert client.get(address).json() in client.get("/v1/collections").json()["collections"]
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


def test_filled_by_a_query_and_searched(client: TestClient, library: Library) -> None:
    """Everything a query finds goes in; the collection's name in a query finds it again."""
    address = client.post("/v1/collections", json={"name": "Everything here"}).headers["location"]
    assert client.post(f"{address}/images", json={"q": "has:caption"}).json()["changed"] == len(library)
    q = 'collection:"Everything here" format:png'
    pngs = {library[name] for name in library if name.endswith(".png")}
    assert {hit["id"] for hit in client.post("/v1/search", json={"q": q}).json()["hits"]} == pngs
    assert client.post(f"{address}/images/remove", json={"q": q}).json()["changed"] == len(pngs)
    assert client.post("/v1/search", json={"q": q}).json()["hits"] == []
    client.delete(address)


def test_names_and_ids_that_cannot_be(client: TestClient, library: Library) -> None:
    """A name twice is 409, none 422, and what is not there 404."""
    address = client.post("/v1/collections", json={"name": "twice"}).headers["location"]
    answer = client.post("/v1/collections", json={"name": "twice"})
    assert (answer.status_code, answer.json()["name"]) == (409, "name_taken")
    assert client.post("/v1/collections", json={"name": " "}).status_code == 422
    client.delete(address)
    body = {"images": [library["coffee.png"]]}
    assert client.post(f"{address}/images", json=body).status_code == 404
    assert client.post(f"{address}/images/remove", json=body).status_code == 404
    assert client.patch(address, json={"name": "x"}).status_code == 404
