"""Who is let in, and what every answer carries."""

import pytest
from fastapi.testclient import TestClient

from search_api.bodies import MAX_BODY_BYTES


@pytest.mark.parametrize("host", ["localhost", "localhost:8420", "127.0.0.1:9", "[::1]:8420", "LOCALHOST"])
def test_own_names(client: TestClient, host: str) -> None:
    """Loopback names and bare addresses are served."""
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.example:80", ""])
def test_foreign_names(client: TestClient, host: str) -> None:
    """A name somebody else's DNS points here is refused: that is how rebinding reaches loopback."""
    answer = client.get("/v1/search", headers={"host": host})
    assert (answer.status_code, answer.json()["name"]) == (400, "unknown_host")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1234"},
    ],
)
def test_writes_from_other_sites(client: TestClient, headers: dict[str, str]) -> None:
    """A page of another site, or of another port, may not make the browser write."""
    for method, path in (("POST", "/v1/images"), ("DELETE", "/v1/images/1"), ("PUT", "/v1/images/1/tags/x")):
        answer = client.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["name"]) == (403, "cross_site")


@pytest.mark.parametrize(
    "headers",
    [{}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {"origin": "http://localhost"}],
)
def test_own_page_and_programs_write(client: TestClient, headers: dict[str, str]) -> None:
    """The page itself and programs, which send no such headers, are let through."""
    assert client.post("/v1/search", json={}, headers=headers).status_code == 200


def test_bodies_are_bounded(client: TestClient) -> None:
    """A JSON body over the limit is refused before it is parsed, announced or not."""

    def endless():
        for _ in range(MAX_BODY_BYTES // 65536 + 2):
            yield b" " * 65536

    headers = {"content-type": "application/json"}
    for content in (b" " * (MAX_BODY_BYTES + 1), endless()):
        answer = client.post("/v1/search", content=content, headers=headers)
        assert (answer.status_code, answer.json()["name"]) == (413, "body_too_large")


@pytest.mark.parametrize("path", ["/", "/static/page/main.js", "/v1/openapi.json", "/v1/nothing"])
def test_headers_on_every_answer(client: TestClient, path: str) -> None:
    """Pages, scripts, data and refusals alike are protected."""
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe-inline" not in headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py"])
def test_only_static_files(client: TestClient, path: str) -> None:
    """The static folder does not lead out of itself."""
    assert client.get(path).status_code == 404
