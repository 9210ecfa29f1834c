"""Checking and deleting by command line."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy.orm import Session, sessionmaker

from indexer import local_stack
from indexer.catalog import annotations, images, models, outbox
from indexer.embeddings import EmbeddingStore
from indexer.embeddings.stores import EmbeddingStores
from indexer.publishing import Publisher
from tests import catalogue
from tests.indexer.cli.conftest import Run

VERSION = "checked by command line"


@pytest.fixture
def ids(
    run: Run,
    sessions: sessionmaker[Session],
    postgres_url: str,
    stack: local_stack.Endpoints,
    monkeypatch: pytest.MonkeyPatch,
) -> list[int]:
    """A catalogue of three published images, which commands find; no worker is started for them."""
    monkeypatch.setenv("SIGHTLINE_POSTGRES_URL", postgres_url)
    monkeypatch.setenv("SIGHTLINE_REDIS_URL", stack.redis_url)
    with sessions.begin() as session:
        by = catalogue.annotators(session)
        by = replace(by, embedder=annotations.annotator_id(session, "embedder", "test", VERSION))
        models.settle(session, "embedder", by.embedder)
        ids = [catalogue.add_indexed(session, {f"tag{n}": 0.9}, by) for n in range(3)]
    Publisher(sessions, EmbeddingStores(stack.milvus_url)).drain()
    with _store(sessions, stack) as store:
        store.delete_images(sorted({*store.between(0, 2**62).image_ids} - {*ids}))
    return ids


@contextmanager
def _store(sessions: sessionmaker[Session], stack: local_stack.Endpoints) -> Iterator[EmbeddingStore]:
    """The store of the embedder in effect."""
    with sessions() as session:
        [embedder] = [each for each in outbox.all_embedders(session) if each.version == VERSION]
    stores = EmbeddingStores(stack.milvus_url)
    yield stores.open(embedder, catalogue.DIMENSION)
    stores.close()


def _held(sessions: sessionmaker[Session], stack: local_stack.Endpoints) -> Sequence[int]:
    with _store(sessions, stack) as store:
        return sorted(store.between(0, 2**62).image_ids)


def test_a_check_finds_and_a_repair_mends(
    run: Run, sessions: sessionmaker[Session], stack: local_stack.Endpoints, ids: list[int]
) -> None:
    """Exit status 0, 3, 0, 0; the report counts by kind and names the first."""
    status, printed, _ = run("check", "--json")
    told = json.loads(printed)
    assert (status, told["agrees"]) == (0, True)
    assert (told["images_by_state"]["indexed"], told["images_in_milvus"], told["captions_in_milvus"]) == (
        3,
        3,
        3,
    )
    with _store(sessions, stack) as store:
        store.delete_images(ids[:1])
    status, printed, _ = run("check", "--json")
    [report] = json.loads(printed)["embedders"]
    assert status == 3
    assert report["found"]["images_missing"] == {"count": 1, "first": ids[:1]}
    assert "1 images missing from Milvus" in run("check")[2]
    status, printed, _ = run("check", "--repair", "--json")
    [report] = json.loads(printed)["embedders"]
    assert (status, report["mended"], report["agrees"]) == (0, 1, True)
    assert _held(sessions, stack) == sorted(ids)
    assert run("check")[0] == 0


def test_images_are_deleted_by_a_query(run: Run, sessions: sessionmaker[Session], ids: list[int]) -> None:
    """Only what it finds, only when said so, and nothing when it finds nothing."""
    status, printed, _ = run("delete", "tag:tag1", "--yes", "--json")
    assert (status, json.loads(printed)) == (0, {"removed": [ids[1]]})
    with sessions() as session:
        assert images.count_by_state(session)["indexed"] == 2
    assert json.loads(run("delete", "tag:tag1", "--yes", "--json")[1]) == {"removed": []}


def test_files_of_ones_own_stay_and_it_is_said(run: Run, ids: list[int]) -> None:
    """And how they come back; where nothing was removed there is nothing to say."""
    told = run("delete", "tag:tag1", "--yes")[2]
    assert "1 images removed." in told
    assert "Files of your own stay where they are: indexing their folder again brings them back." in told
    assert "Files of your own" not in run("delete", "tag:tag1", "--yes")[2]


def test_deleting_asks_first(
    run: Run, sessions: sessionmaker[Session], ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With how many there are; anything but yes leaves them all."""
    monkeypatch.setattr("typer.confirm", _refuse)
    status, _, _ = run("delete", "tag:tag0")
    assert status != 0
    with sessions() as session:
        assert images.count_by_state(session)["indexed"] == 3


def _refuse(question: str, **_: object) -> None:
    assert "1 images" in question
    raise SystemExit(1)
