"""The application as a whole: its description, its refusals, its page."""

import re
from pathlib import Path

from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

import search_api
from indexer.settings import Settings
from search_api.app import create_app

STATIC = Path(search_api.__file__).parent / "static"


def test_description_is_complete(client: TestClient) -> None:
    """Every endpoint is described, names a good answer, and its refusals are problem details."""
    described = client.get("/v1/openapi.json").json()
    assert "ProblemOut" in described["components"]["schemas"]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (method, path)
            assert any(status.startswith("2") for status in operation["responses"]), (method, path)
            for status, answer in operation["responses"].items():
                if status.startswith(("4", "5")) and path != "/readyz":
                    assert "application/problem+json" in answer["content"], (method, path, status)


def test_unknown_paths_are_problems(client: TestClient) -> None:
    """Wrong paths and wrong methods are refused in the same form as everything else."""
    for method, path, status, name in (
        ("GET", "/v1/nothing", 404, "not_found"),
        ("PATCH", "/v1/search", 405, "method_not_allowed"),
    ):
        answer = client.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["name"] == name


def test_surprises_leak_nothing(client: TestClient, library: dict[str, int], monkeypatch) -> None:
    """An error nobody foresaw is a 500 without a traceback or its message."""

    def surprise(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the secret")

    monkeypatch.setattr(Session, "scalars", surprise)
    answer = client.get(f"/v1/images/{library['coffee.png']}")
    assert (answer.status_code, answer.json()["name"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_failed_commit_is_not_a_success(client: TestClient, library: dict[str, int], monkeypatch) -> None:
    """A correction whose commit fails answers 500, not 200."""

    def refuse(_: Session) -> None:
        raise RuntimeError("disk full")

    monkeypatch.setattr(Session, "commit", refuse)
    monkeypatch.setattr("sqlalchemy.orm.session.SessionTransaction.commit", refuse)
    assert client.put(f"/v1/images/{library['china.jpg']}/tags/nowhere").status_code == 500


def test_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    """The page's files exist, carry no inline script and name no other host."""
    for page in ("/", "/docs"):
        html = client.get(page).text
        assert not re.search(r"<script(?![^>]*src=)", html)
        assert " style=" not in html
        for address in re.findall(r'(?:src|href)="(/[^"]*)"', html):
            assert client.get(address).status_code == 200, address
    for file in filter(Path.is_file, STATIC.rglob("*")):
        foreign = re.findall(r"https?://(?!www\.w3\.org)[^\s\"'`)]+", file.read_text())
        assert not foreign, file


def test_modules_import_what_exists(client: TestClient) -> None:
    """Every module a script imports is served."""
    modules = list(STATIC.rglob("*.js"))
    assert modules
    for file in modules:
        for name in re.findall(r'from "(\.[^"]+)"', file.read_text()):
            assert (file.parent / name).resolve().is_file(), f"{file.name} imports {name}"
        assert len(file.read_text().splitlines()) < 400


def test_application_is_made_without_servers(tmp_path: Path) -> None:
    """Making the application connects to nothing: servers are asked for when it starts."""
    app = create_app(Settings(home=tmp_path / "untouched"))
    assert app.title == "Sightline"
    assert not (tmp_path / "untouched").exists()
