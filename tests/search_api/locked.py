"""A library with keys: its application, and how to come in."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI
from fastapi.testclient import TestClient

from indexer.catalog import api_keys
from indexer.settings import Settings
from search_api.access import Doors
from search_api.app import create_app


@dataclasses.dataclass(frozen=True)
class Locked:
    """The application of a library whose doors are shut. `admin` is a key that opens everything."""

    app: FastAPI
    admin: str

    def caller(self, key: str | None = None, address: str = "127.0.0.1", scheme: str = "http") -> TestClient:
        """A program at an address, with a key or without."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return TestClient(
            self.app,
            f"{scheme}://localhost",
            headers=headers,
            client=(address, 50_000),
            raise_server_exceptions=False,
            follow_redirects=False,
        )

    def key(self, *scopes: str) -> str:
        """A key that opens these."""
        with self.app.state.services.sessions.begin() as session:
            return api_keys.create(session, f"key {len(api_keys.all_of_them(session))}", scopes)[1]

    def browser(self, *scopes: str, scheme: str = "http") -> TestClient:
        """A browser that has signed in with a new key that opens these; it sends no token by itself."""
        browser = self.caller(scheme=scheme)
        assert browser.post("/v1/session", json={"key": self.key(*scopes)}).status_code == 201
        return browser

    def forget(self) -> None:
        """Have the catalogue asked again, as two seconds later."""
        self.doors.keys._known.clear()

    @property
    def doors(self) -> Doors:
        """The doors themselves."""
        doors: Doors = self.app.state.doors
        return doors


@contextmanager
def locked(settings: Settings) -> Iterator[Locked]:
    """The library of `settings`, for the time of the block, with a first key."""
    app = create_app(settings)
    with TestClient(app):
        with app.state.services.sessions.begin() as session:
            _, admin = api_keys.create(session, "admin", ["admin"])
        yield Locked(app, admin)
