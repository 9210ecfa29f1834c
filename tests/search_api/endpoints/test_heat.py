"""Where a tag was seen, over HTTP."""

from fastapi.testclient import TestClient

Library = dict[str, int]


def test_a_map_of_the_picture(client: TestClient, library: Library) -> None:
    """Rows and columns of numbers from 0 to 1, who made it, and that it is coarse."""
    response = client.get(f"/v1/images/{library['chelsea.png']}/tags/dog/heat")
    found = response.json()
    assert response.status_code == 200
    assert (found["rows"], found["columns"], found["coarse"]) == (6, 6, True)
    assert [len(row) for row in found["values"]] == [6] * 6
    assert max(map(max, found["values"])) == 1
    assert min(map(min, found["values"])) >= 0
    assert (found["model"]["kind"], found["model"]["name"]) == ("model", "small")


def test_asked_again_it_is_the_same(client: TestClient, library: Library) -> None:
    """However the name is written; another tag has another map."""
    address = f"/v1/images/{library['coffee.png']}/tags"
    first, again, other = (client.get(f"{address}/{name}/heat").json() for name in ("man", "Man", "dog"))
    assert first == again
    assert first["values"] != other["values"]


def test_a_tag_the_tagger_does_not_know(client: TestClient, library: Library) -> None:
    """Told by name: a person's own tag is nowhere to be seen for it."""
    response = client.get(f"/v1/images/{library['chelsea.png']}/tags/grandmother's cat/heat")
    problem = response.json()
    assert (response.status_code, problem["name"]) == (404, "not_found")
    assert "grandmother's cat" in problem["detail"]
    assert "small" in problem["detail"]


def test_an_image_that_is_not_there(client: TestClient) -> None:
    """Nothing is loaded for it."""
    assert client.get("/v1/images/999999999/tags/dog/heat").status_code == 404
