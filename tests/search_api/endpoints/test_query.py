"""The query language over HTTP."""

from fastapi.testclient import TestClient


def test_a_query_is_told_back(client: TestClient) -> None:
    """Canonical text, the same as a tree that the search takes, and pieces that stand in the text."""
    told = client.post("/v1/query/parse", json={"q": "a  dog  tag:Traffic_Light -width:<=100"}).json()
    assert told["query"] == 'a dog tag:"traffic light" -width:<=100'
    assert [(chip["kind"], chip["negated"]) for chip in told["chips"]] == [
        ("text", False),
        ("tag", False),
        ("width", True),
    ]
    assert [told["query"][slice(*chip["span"])] for chip in told["chips"]] == [
        c["text"] for c in told["chips"]
    ]
    again = client.post("/v1/query/parse", json={"q": told["query"]}).json()
    assert again == told


def test_a_slip_is_pointed_at(client: TestClient) -> None:
    """The problem says where, how long, and what may have been meant."""
    answer = client.post("/v1/query/parse", json={"q": "a dog colection:x"})
    problem = answer.json()
    assert (answer.status_code, problem["name"]) == (422, "query_syntax_error")
    assert (problem["position"], problem["length"]) == (6, len("colection"))
    assert "collection" in problem["suggestions"]


def test_every_key_has_examples_that_work(client: TestClient) -> None:
    """The table of keys is complete enough to help: each example parses and says the same again."""
    keys = client.get("/v1/query/keys").json()["keys"]
    assert {"tag", "taken", "width", "like", "order"} <= {key["key"] for key in keys}
    for key in keys:
        assert key["help"]
        assert key["examples"]
        for example in key["examples"]:
            assert client.post("/v1/query/parse", json={"q": example}).status_code == 200


def test_values_are_completed(client: TestClient, photographs: dict[str, bytes]) -> None:
    """SKUs and collections there are; another key's values are not people's own."""
    file = {"file": ("mug.jpg", next(iter(photographs.values())))}
    client.post("/v1/images", files=file, data={"sku": "Mug-7"})
    client.post("/v1/collections", json={"name": "Mugs"})
    asked = "/v1/query/values"
    assert client.get(asked, params={"key": "sku", "prefix": "mug"}).json() == {
        "values": [{"value": "Mug-7", "images": 1}]
    }
    assert client.get(asked, params={"key": "collection", "prefix": "mug"}).json() == {
        "values": [{"value": "Mugs", "images": 0}]
    }
    assert client.get(asked, params={"key": "format", "prefix": "j"}).status_code == 422
    assert client.get(asked, params={"key": "sku", "prefix": "mug\0"}).status_code == 422
