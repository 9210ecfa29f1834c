"""Editing many images at once."""

from fastapi.testclient import TestClient

Library = dict[str, int]


def _said(client: TestClient, image_id: int) -> dict[str, bool]:
    """What the person says of an image's tags: shown or not."""
    tags = client.get(f"/v1/images/{image_id}").json()["tags"]
    return {tag["name"]: not tag["rejected"] for tag in tags if tag["source"]["kind"] == "human"}


def test_edit_and_undo(client: TestClient, library: Library) -> None:
    """Each image's outcome is told; undoing restores what was said, and again restores nothing."""
    ids = [library["coffee.png"], library["rocket.jpg"]]
    client.put(f"/v1/images/{ids[0]}/tags/still life")
    before = [_said(client, image_id) for image_id in ids]
    answer = client.post("/v1/edits", json={"images": [*ids, 10**9], "add": ["still_life", "for Anna"]})
    made = answer.json()
    assert answer.status_code == 201
    assert [(item["status"], item["tags"]) for item in made["items"]] == [
        ("changed", ["for anna"]),
        ("changed", ["still life", "for anna"]),
        ("missing", []),
    ]
    assert (made["changed"], made["unchanged"], made["missing"]) == (2, 0, 1)
    undone = client.post(f"/v1/edits/{made['edit']['id']}/undo").json()
    assert (undone["restored"], undone["left"]) == (3, 0)
    assert undone["edit"]["undone_at"]
    assert [_said(client, image_id) for image_id in ids] == before
    assert client.post(f"/v1/edits/{made['edit']['id']}/undo").json()["restored"] == 0


def test_edit_of_an_answer(client: TestClient, library: Library) -> None:
    """Everything a query finds is edited, and nothing else; more than can be is refused."""
    q = f"id:{library['coffee.png']},{library['china.jpg']}"
    made = client.post("/v1/edits", json={"q": q, "add": ["chosen"]}).json()
    assert {item["image_id"] for item in made["items"]} == {library["coffee.png"], library["china.jpg"]}
    found = client.post("/v1/search", json={"q": "tag:chosen"}).json()
    assert {hit["id"] for hit in found["hits"]} == {item["image_id"] for item in made["items"]}
    client.post(f"/v1/edits/{made['edit']['id']}/undo")
    assert client.post("/v1/search", json={"q": "tag:chosen"}).json()["total"]["value"] == 0


def test_either_ids_or_a_query(client: TestClient, library: Library) -> None:
    """Both and neither are refused."""
    for body in ({"images": [1], "q": "", "add": ["x"]}, {"add": ["x"]}):
        answer = client.post("/v1/edits", json=body)
        assert (answer.status_code, "either `images` or `q`" in answer.json()["detail"]) == (422, True)


def test_single_statements_are_edits_too(client: TestClient, library: Library) -> None:
    """What was said of one image is listed with the others and can be taken back like them."""
    image_id = library["china.jpg"]
    client.delete(f"/v1/images/{image_id}/tags/{client.get('/v1/tags').json()['tags'][0]['name']}")
    newest = client.get("/v1/edits", params={"limit": 1}).json()["edits"][0]
    assert newest["images"] == 1
    assert set(newest["tags"]) <= set(_said(client, image_id))
    client.post(f"/v1/edits/{newest['id']}/undo")
    assert not set(newest["tags"]) & set(_said(client, image_id))


def test_what_was_done_is_listed_page_by_page(client: TestClient, library: Library) -> None:
    """Added, rejected and taken back are told apart; what is older follows the last one's id."""
    ids = [library["coffee.png"], library["china.jpg"]]
    for change in ({"add": ["pagoda", "tea"]}, {"remove": ["tea"]}, {"clear": ["pagoda"]}):
        assert client.post("/v1/edits", json={"images": ids, **change}).json()["changed"] == 2
    newest = client.get("/v1/edits", params={"limit": 2}).json()["edits"]
    before = {"limit": 1, "before": newest[-1]["id"]}
    listed = [*newest, *client.get("/v1/edits", params=before).json()["edits"]]
    told = [[edit[did] for did in ("tags", "added", "rejected", "cleared")] for edit in listed]
    assert told == [
        [["pagoda"], [], [], ["pagoda"]],
        [["tea"], [], ["tea"], []],
        [["pagoda", "tea"], ["pagoda", "tea"], [], []],
    ]


def test_a_name_that_reads_as_several_tags_is_refused(client: TestClient, library: Library) -> None:
    """A table would cut it apart; nothing is said of any tag then."""
    image_id = library["china.jpg"]
    for name in ("red, blue", "red;blue", "red|blue"):
        answers = [
            client.post("/v1/edits", json={"images": [image_id], "add": ["roof", name]}),
            client.put(f"/v1/images/{image_id}/tags/{name}"),
        ]
        assert {(answer.status_code, answer.json()["name"]) for answer in answers} == {(422, "query_error")}
        assert "write two tags" in answers[0].json()["detail"]
    assert not {"roof", "red", "blue"} & set(_said(client, image_id))


def test_nothing_to_change_makes_no_edit(client: TestClient, library: Library) -> None:
    """Taking back a word never said changes nothing and is not listed."""
    name = client.get("/v1/tags").json()["tags"][0]["name"]
    client.delete(f"/v1/images/{library['china.jpg']}/statements/{name}")
    made = client.post("/v1/edits", json={"images": [library["china.jpg"]], "clear": [name]}).json()
    assert (made["edit"], made["unchanged"]) == (None, 1)


def test_edits_that_make_no_sense(client: TestClient, library: Library) -> None:
    """Nothing to say, unknown tags, unknown edits and too many images are told apart."""
    image_id = library["china.jpg"]
    for body, name in (
        ({"images": [image_id]}, "query_error"),
        ({"images": [image_id], "remove": ["no such tag at all"]}, "unknown_tag"),
        ({"images": [], "add": ["x"]}, "malformed_request"),
        ({"images": list(range(1, 10_002)), "add": ["x"]}, "malformed_request"),
    ):
        answer = client.post("/v1/edits", json=body)
        assert (answer.status_code, answer.json()["name"]) == (422, name)
    assert client.post("/v1/edits/987654/undo").status_code == 404
