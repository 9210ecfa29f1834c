"""Words that were made to be run: as SQL, as Milvus's filters, as markup; and characters that cannot be kept."""

import json
import re

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer import query
from indexer.vocabulary import BETWEEN_TAGS

Library = dict[str, int]
INJECTED = [
    "'; DROP TABLE images; --",
    "x') OR ('1'='1",
    '"; SELECT pg_sleep(10); --',
    "tag' UNION SELECT key_hash FROM api_keys --",
    "$$; TRUNCATE images; $$",
    "%' OR name LIKE '%",
    "_%\\",
    "E'\\x27'",
    'image_id in [1] or 1 == 1 or name == "',
    "1] or image_id > 0 or image_id in [1",
    'json_contains(x, "y")) or (1 == 1',
    "{0.__class__.__mro__}",
    "%s %(name)s :name ?",
    "{{7*7}} ${7*7} #{7*7}",
    "<script>alert(1)</script>",
    "a\u0085b\u2028c\u200bd\ufeff",
]
LONE = '"\\ud800"'  # half of a surrogate pair, as JSON writes it


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _found(client: TestClient, q: str) -> set[int]:
    answer = client.post("/v1/search", json={"q": q, "limit": 200})
    assert answer.status_code == 200, answer.text
    return {hit["id"] for hit in answer.json()["hits"]}


def _tags(client: TestClient, image_id: int) -> set[str]:
    return {tag["name"] for tag in client.get(f"/v1/images/{image_id}").json()["tags"]}


@pytest.mark.parametrize("name", INJECTED)
def test_names_are_names(client: TestClient, library: Library, name: str) -> None:
    """A tag, a collection and a saved search of that name are kept, found and taken away, and do nothing else."""
    image_id = library["rocket.jpg"]
    before = _tags(client, image_id)
    tag = re.sub(f"[{BETWEEN_TAGS}]", "?", name)  # a new tag has none of them
    assert client.post("/v1/edits", json={"images": [image_id], "add": [tag]}).status_code == 201
    assert (
        tag == name or client.post("/v1/edits", json={"images": [image_id], "add": [name]}).status_code == 422
    )
    [kept] = _tags(client, image_id) - before
    assert _found(client, f"tag:{_quoted(kept)}") == {image_id}
    assert _found(client, f"-tag:{_quoted(kept)}") == set(library.values()) - {image_id}
    assert client.post("/v1/edits", json={"images": [image_id], "clear": [kept]}).json()["changed"] == 1
    made = client.post("/v1/collections", json={"name": name}).json()
    assert client.post(f"/v1/collections/{made['id']}/images", json={"images": [image_id]}).is_success
    assert _found(client, f"collection:{_quoted(made['name'])}") == {image_id}
    assert client.delete(f"/v1/collections/{made['id']}").status_code == 204
    saved = client.post("/v1/searches", json={"name": name, "query": _quoted(name)})
    assert saved.status_code == 201, saved.text
    assert client.delete(f"/v1/searches/{saved.json()['id']}").status_code == 204
    assert _found(client, "") == set(library.values())


@pytest.mark.parametrize("text", INJECTED)
def test_what_is_asked_is_only_asked(client: TestClient, library: Library, text: str) -> None:
    """As words, as a condition on each text there is, as an order, a facet, a cursor: no answer it should not give."""
    everything = set(library.values())
    assert _found(client, _quoted(text)) <= everything
    for key in [key.name for key in query.KEYS if key.name != "text"]:
        answer = client.get("/v1/search", params={"q": f"{key}:{_quoted(text)}"})
        assert answer.status_code in (200, 404, 422), (key, answer.text)
        assert answer.status_code != 200 or not answer.json()["hits"], key
    for name in ("order", "facets", "cursor", "fields", "like"):
        asked = {"q": f"order:{_quoted(text)}"} if name == "order" else {name: text}
        assert client.get("/v1/search", params=asked).status_code in (200, 404, 422), name
    assert client.get("/v1/tags", params={"prefix": text[:100]}).status_code == 200
    assert client.get("/v1/tags/complete", params={"prefix": text[:100]}).status_code == 200


def test_a_caption_is_text(client: TestClient, library: Library) -> None:
    """What is written comes back to the letter, as JSON that no browser takes for a page."""
    address = f"/v1/images/{library['rocket.jpg']}"
    for text in INJECTED:
        assert client.put(f"{address}/caption", json={"text": text}).status_code == 200
        answer = client.get(address)
        assert answer.json()["caption"] == text
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("bad", ['"a\\u0000b"', LONE, '"\\udfff\\ud800"', '"\\u0000"'])
def test_what_cannot_be_kept(client: TestClient, library: Library, bad: str) -> None:
    """NUL and half a surrogate pair are refused in words wherever text is taken; nothing of it is done."""
    image_id = library["coffee.png"]
    before = client.get(f"/v1/images/{image_id}").json()
    bodies = {
        ("POST", "/v1/search"): '{"q": %s}',
        ("POST", "/v1/query/parse"): '{"q": %s}',
        ("POST", "/v1/export"): '{"q": %s}',
        ("POST", "/v1/edits"): f'{{"images": [{image_id}], "add": [%s]}}',
        ("PUT", f"/v1/images/{image_id}/caption"): '{"text": %s}',
        ("POST", "/v1/collections"): '{"name": %s}',
        ("POST", "/v1/searches"): '{"name": %s, "query": ""}',
        ("POST", "/v1/session"): '{"key": %s}',
    }
    for (method, path), body in bodies.items():
        answer = client.request(
            method, path, content=body % bad, headers={"content-type": "application/json"}
        )
        assert answer.status_code in (200, 401, 422), (path, answer.text)
        assert answer.status_code != 200 or path in ("/v1/search", "/v1/query/parse", "/v1/export"), path
        answer.content.decode()
    assert client.get(f"/v1/images/{image_id}").json() == before


@pytest.mark.parametrize(
    "address",
    [
        "/v1/search?q=%00",
        "/v1/search?q=%ff%fe",
        "/v1/search?q=%ed%a0%80",
        "/v1/tags?prefix=%00",
        "/v1/tags/complete?prefix=%ed%b0%80",
        "/v1/images/1/tags/%00/heat",
        "/v1/images/%00",
        "/%00",
        "/static/%00",
        "/v1/export?columns=%00",
    ],
)
def test_addresses_with_such_characters(client: TestClient, library: Library, address: str) -> None:
    """Never an internal error."""
    assert client.get(address).status_code in (200, 404, 422)


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"filter":' * 5_000 + "{}" + "}" * 5_000,
        '{"q": "' + "(" * 4_000 + '"}',
        '{"q": "' + "-" * 4_000 + 'a"}',
        '{"limit": 1e400}',
        '{"limit": ' + "9" * 5_000 + "}",
        '{"q": NaN}',
        '{"q": "a", "q": "b"}',
        "\ufeff{}",
        "",
    ],
)
def test_bodies_made_to_break_a_parser(client: TestClient, library: Library, body: str) -> None:
    """Too deep, too long, too large a number, said twice: understood or refused, at once."""
    answer = client.post("/v1/search", content=body.encode(), headers={"content-type": "application/json"})
    assert answer.status_code in (200, 422)
    json.loads(answer.content)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "[::1"},
        {"host": "localhost:99999999"},
        {"host": "local host"},
        {"origin": "http://[::1"},
        {"origin": "http://"},
        {"authorization": "Bearer"},
        {"authorization": "Basic YTpi"},
        {"cookie": "sightline_session=%00%ff; sightline_csrf="},
        {"cookie": "sightline_session=" + "a." * 3_000},
        {"if-none-match": '"' * 500},
        {"accept-language": "\u00ff" * 100},
        {"content-type": "multipart/form-data; boundary=" + "-" * 5_000},
        {"content-type": 'multipart/form-data; boundary="'},
        {"content-type": "application/json; charset=utf-7"},
        {"x-forwarded-for": "127.0.0.1, ::1, 'x'"},
        {"range": "bytes=0-0,-1,5-2"},
    ],
)
def test_headers_made_to_break_a_parser(
    client: TestClient, library: Library, headers: dict[str, str]
) -> None:
    """Never an internal error, whatever they hold."""
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    for method, path in (("GET", "/v1/search"), ("POST", "/v1/search"), ("POST", "/v1/images")):
        answer = client.request(method, path, headers=raw, content=b"{}" if method == "POST" else None)
        assert answer.status_code < 500, (method, path)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.text(max_size=60))
def test_any_text_in_any_condition(client: TestClient, library: Library, text: str) -> None:
    """Whatever is asked for is found, not found or refused."""
    for key in ("tag", "path", "format", "collection"):
        answer = client.post(
            "/v1/search",
            content=json.dumps({"q": f"{key}:{_quoted(text)}"}).encode(),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code in (200, 422)
