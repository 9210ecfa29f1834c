"""The embedder in effect changes under constant searching: every answer is whole, by one embedder or the other."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from indexer.catalog import models
from indexer.cli.demo import bundled_photographs
from indexer.decoding import DecodePool
from indexer.images import Limits
from indexer.local_stack import Endpoints
from indexer.query import Query, TextTerm
from indexer.reindexing import switching
from indexer.reindexing.in_effect import choice_of
from indexer.search import Request
from indexer.settings import Settings
from search_api.app import create_app
from search_api.meaning import LOOK_S
from tests.changing import Changing, open_library
from tests.other_models import install_other

NOTICED_S = 20.0
Answer = tuple[tuple[int, float], ...]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a second embedder."""
    return install_other(tmp_path_factory.mktemp("models"), "embedder")


@pytest.fixture
def settings(postgres_url: str, stack: Endpoints, home: Path, tmp_path: Path) -> Settings:
    """A server of its own over the tests' servers."""
    return Settings(
        home=tmp_path,
        postgres_url=postgres_url,
        redis_url=stack.redis_url,
        milvus_url=stack.milvus_url,
        models=home,
        device="cpu",
    )


@pytest.fixture
def library(settings: Settings, engine: Engine, stack: Endpoints) -> Iterator[Changing]:
    """Photographs, indexed by the bundled models."""
    with DecodePool(2, Limits()) as pool:
        library = open_library(engine, stack.milvus_url, pool, choice_of(settings), settings.storage)
        library.index(*bundled_photographs()[:12])
        yield library
        library.stores.close()


@pytest.fixture
def client(settings: Settings, library: Changing) -> Iterator[TestClient]:
    """The application, following the library."""
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        yield client


class Searching(threading.Thread):
    """Asks the same thing again and again until it is told to stop."""

    def __init__(self, client: TestClient) -> None:
        super().__init__(daemon=True)
        self.answers: list[Answer] = []
        self.failures: list[str] = []
        self._client, self._ending = client, threading.Event()

    def run(self) -> None:
        """Search."""
        while not self._ending.is_set():
            found = self._client.get("/v1/search", params={"q": "a cat on a table", "all": True})
            if found.status_code != 200:
                self.failures.append(found.text)
                continue
            self.answers.append(tuple((hit["id"], round(hit["score"], 4)) for hit in found.json()["hits"]))

    def until(self, wanted: Answer | None = None, other_than: Answer | None = None) -> Answer:
        """Wait for an answer: this one, or another than that one."""
        deadline = time.monotonic() + NOTICED_S
        while time.monotonic() < deadline:
            last = self.answers[-1] if self.answers else None
            if last and (last == wanted if wanted else last != other_than):
                return last
            time.sleep(0.02)
        raise AssertionError(f"no such answer in {NOTICED_S} s; failures: {self.failures[:1]}")

    def stop(self) -> None:
        """Ask no more."""
        self._ending.set()
        self.join()


def test_no_search_fails_and_none_is_answered_by_two_models(library: Changing, client: TestClient) -> None:
    """Filling, switching and going back, while somebody searches all the time."""
    searching = Searching(client)
    searching.start()
    old = searching.until()
    change = library.begin("embedder")
    library.fill()
    assert set(searching.answers) == {old}
    assert switching.switch(library.sessions, change)
    new = searching.until(other_than=old)
    switched_after = len(searching.answers)
    searching.until(wanted=new)
    switching.roll_back(library.sessions, "embedder")
    library.fill()
    searching.until(wanted=old)
    searching.stop()
    assert searching.failures == []
    assert set(searching.answers) == {old, new}
    assert switched_after < len(searching.answers)
    assert new == _expected(library, change.annotator_id)


def _expected(library: Changing, embedder_id: int) -> Answer:
    """What the embedder finds when it is asked without a server."""
    with library.sessions.begin() as session:
        models.hold_still(session)
        models.put_in_effect(session, "embedder", embedder_id)
    found = library.searcher().search(Query((TextTerm("a cat on a table"),)), Request(all=True))
    return tuple((hit.image.id, round(hit.score or 0.0, 4)) for hit in found.hits)


def test_a_cursor_of_the_embedder_before_is_refused_by_name(library: Changing, client: TestClient) -> None:
    """The scores it counts from are of another embedder; the message says what to do."""
    first = client.get("/v1/search", params={"q": "a cat", "all": True, "limit": 2}).json()
    services = client.app.state.services  # type: ignore[attr-defined]
    change = library.begin("embedder")
    library.fill()
    assert switching.switch(library.sessions, change)
    services.semantics.look()
    again = client.get(
        "/v1/search", params={"q": "a cat", "all": True, "limit": 2, "cursor": first["next_cursor"]}
    )
    assert again.status_code == 422
    assert "another embedder" in again.json()["detail"]


def test_a_model_that_is_not_here_stops_only_what_needs_it(
    library: Changing, settings: Settings, tmp_path: Path
) -> None:
    """Tags, filters and browsing go on; searching by meaning says how to go on; so does /readyz."""
    change = library.begin("embedder")
    library.fill()
    assert switching.switch(library.sessions, change)
    bare = settings.model_copy(update={"models": tmp_path / "nothing"})
    with TestClient(create_app(bare), base_url="http://localhost") as client:
        refused = client.get("/v1/search", params={"q": "a cat"})
        assert (refused.status_code, refused.json()["name"]) == (503, "model_missing")
        assert "sightline reindex --embedder NAME" in refused.json()["detail"]
        assert client.get("/v1/search", params={"q": "-tag:dog"}).json()["total"]["value"] > 0
        said = client.put("/v1/images/1/caption", json={"text": "my own words"})
        assert said.json()["captions"][0]["text"] == "my own words"
        parts = client.get("/readyz").json()["parts"]
        assert not parts["embedder"]["ok"]
        assert "No embedder is called 'other'" in parts["embedder"]["detail"]
    with library.sessions() as session:  # for a worker that has the model
        assert session.scalars(text("SELECT image_id FROM work WHERE priority = 0")).all() == [1]


def test_a_change_that_cannot_be_followed_yet(library: Changing, client: TestClient, home: Path) -> None:
    """To a model that is not on this machine: the one before answers, /readyz tells, and it is used once it is here."""
    searching = Searching(client)
    searching.start()
    old = searching.until()
    change = library.begin("embedder")
    library.fill()
    aside = (home / "other").rename(home / ".aside")
    assert switching.switch(library.sessions, change)
    time.sleep(2 * LOOK_S)
    assert "reindex" in client.get("/readyz").json()["parts"]["embedder"]["detail"]
    assert set(searching.answers) == {old}
    aside.rename(home / "other")
    searching.until(other_than=old)
    searching.stop()
    assert searching.failures == []
    assert client.get("/readyz").json()["parts"]["embedder"]["ok"]
