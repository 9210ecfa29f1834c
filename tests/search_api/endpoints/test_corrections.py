"""What people say of images."""

import pytest
from fastapi.testclient import TestClient

from workers.runtime import Runtime

Library = dict[str, int]


def _shown(client: TestClient, tag: str) -> list[int]:
    found = client.post("/v1/search", json={"filter": {"tag": tag}}).json()
    return [hit["id"] for hit in found["hits"]]


def test_person_asserts_and_rejects(client: TestClient, library: Library) -> None:
    """A person's tag is found at once; the last word counts; another image is not touched."""
    image_id = library["astronaut.png"]
    image = client.put(f"/v1/images/{image_id}/tags/Space_Suit").json()
    mine = next(tag for tag in image["tags"] if tag["name"] == "space suit")
    assert (mine["confidence"], mine["source"]["kind"]) == (1.0, "human")
    assert _shown(client, "space suit") == [image_id]
    image = client.delete(f"/v1/images/{image_id}/tags/space%20suit").json()
    assert next(tag for tag in image["tags"] if tag["name"] == "space suit")["rejected"]
    assert _shown(client, "space suit") == []


def test_rejection_outlives_the_machine(client: TestClient, library: Library, worker: Runtime) -> None:
    """A model's tag a person rejected is no longer found, and the model's own row is still there."""
    image_id = library["rocket.jpg"]
    tag = next(t["name"] for t in client.get(f"/v1/images/{image_id}").json()["tags"])
    assert image_id in _shown(client, tag)
    client.delete(f"/v1/images/{image_id}/tags/{tag}")
    assert image_id not in _shown(client, tag)
    image = client.put(f"/v1/images/{image_id}/tags/{tag}").json()
    assert {t["source"]["kind"] for t in image["tags"] if t["name"] == tag} == {"human", "model"}


def test_own_caption_comes_first_and_is_searched(client: TestClient, library: Library) -> None:
    """A person's caption leads, replaces only the person's earlier one, and counts in the search at once."""
    image_id = library["china.jpg"]
    machine = client.get(f"/v1/images/{image_id}").json()["caption"]
    client.put(f"/v1/images/{image_id}/caption", json={"text": "first try"})
    text = "a pagoda above the lake in Beijing"
    image = client.put(f"/v1/images/{image_id}/caption", json={"text": text}).json()
    assert [caption["text"] for caption in image["captions"]] == [text, machine]
    hits = client.post("/v1/search", json={"text": text, "all": True}).json()["hits"]
    found = next(hit for hit in hits if hit["id"] == image_id)
    assert found["channels"]["caption"]["cosine"] == pytest.approx(1.0, abs=0.01)


def test_own_caption_is_taken_back(client: TestClient, library: Library) -> None:
    """The machine's is shown first again and yours is found no more; taking back what is not there is no fault."""
    address = f"/v1/images/{library['rocket.jpg']}"
    before = client.get(address).json()
    text = "fireworks over Lisbon at midnight"
    client.put(f"{address}/caption", json={"text": text})
    for _ in range(2):
        answer = client.delete(f"{address}/caption")
        assert (answer.status_code, answer.json()["captions"]) == (200, before["captions"])
    assert answer.headers["etag"] == client.get(address).headers["etag"]
    hits = client.post("/v1/search", json={"text": text, "all": True}).json()["hits"]
    found = next(hit for hit in hits if hit["id"] == library["rocket.jpg"])
    assert found["channels"]["caption"]["cosine"] < 0.95


@pytest.mark.parametrize("text", ["", "x" * 2001, " ", "\n\t\u3000"])
def test_caption_must_say_something(client: TestClient, library: Library, text: str) -> None:
    """Neither nothing nor a novel."""
    answer = client.put(f"/v1/images/{library['china.jpg']}/caption", json={"text": text})
    assert answer.status_code == 422
    assert text.strip() or not text or "needs words" in answer.json()["detail"]


def test_own_word_is_taken_back(client: TestClient, library: Library) -> None:
    """After that the models' word counts again, as if nothing had been said."""
    image_id = library["coffee.png"]
    before = client.get(f"/v1/images/{image_id}").json()["tags"]
    mine = {tag["name"] for tag in before if tag["source"]["kind"] == "human"}
    tag = next(tag["name"] for tag in before if tag["name"] not in mine)
    assert client.delete(f"/v1/images/{image_id}/tags/{tag}").json()["tags"] != before
    assert client.delete(f"/v1/images/{image_id}/statements/{tag}").json()["tags"] == before


def test_writer_who_has_not_seen_the_last_change_is_refused(client: TestClient, library: Library) -> None:
    """With the ETag of an older state nothing is written, with the present one it is; each answer has the next."""
    address = f"/v1/images/{library['rocket.jpg']}"
    old = client.get(address).headers["etag"]
    current = client.put(f"{address}/tags/launch", headers={"If-Match": old}).headers["etag"]
    assert current == client.get(address).headers["etag"] != old
    for method, path in (
        ("PUT", "/tags/launch pad"),
        ("DELETE", "/tags/launch"),
        ("DELETE", "/statements/launch"),
        ("DELETE", "/caption"),
        ("DELETE", ""),
    ):
        answer = client.request(method, address + path, headers={"If-Match": old})
        assert (answer.status_code, answer.json()["name"]) == (412, "stale")
    answer = client.put(f"{address}/caption", json={"text": "x"}, headers={"If-Match": old})
    assert (answer.status_code, client.get(address).headers["etag"]) == (412, current)
    accepted = client.delete(f"{address}/statements/launch", headers={"If-Match": f'"x", {current}'})
    assert accepted.status_code == 200


def test_corrections_of_nothing(client: TestClient, library: Library) -> None:
    """Statements about an image that does not exist are 404, nameless tags 422."""
    assert client.put("/v1/images/424242/tags/dog").status_code == 404
    assert client.put("/v1/images/424242/caption", json={"text": "x"}).status_code == 404
    assert client.delete("/v1/images/424242/caption").status_code == 404
    assert client.put(f"/v1/images/{library['china.jpg']}/tags/%20").status_code == 422
