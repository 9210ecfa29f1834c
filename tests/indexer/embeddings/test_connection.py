"""A Milvus that bears one writer, is killed, or is not there."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from indexer import local_stack
from indexer.embeddings import EmbeddingStore
from indexer.errors import ServiceUnavailable
from indexer.local_stack.identity import start_mark
from indexer.settings import Settings
from tests.indexer.embeddings.known_rows import CAPTIONS_EACH, IMAGES, fill, image_ids, open_store, unit


def test_every_change_holds_the_write_lock(lite: local_stack.Endpoints) -> None:
    """Lite bears one writer: each change takes the lock once, never twice at a time; reading takes none."""
    depth, taken = 0, 0

    @contextmanager
    def lock() -> Iterator[None]:
        nonlocal depth, taken
        assert depth == 0
        depth, taken = depth + 1, taken + 1
        yield
        depth -= 1

    make: Callable[[], AbstractContextManager[None]] = lock
    store = open_store(lite.milvus_url, write_lock=make)
    store.ensure()
    changes: list[Callable[[], object]] = [
        lambda: store.upsert_images([1], unit(1)),
        lambda: store.upsert_captions([1], [1], unit(1)),
        lambda: store.delete_captions([1]),
        lambda: store.delete_images([1]),
        store.flush,
        store.activate,
    ]
    for change in changes:
        before = taken
        change()
        assert taken == before + 1
    before = taken
    store.nearest("images", unit(1)[0], 1)
    assert image_ids(store) == []
    assert taken == before


def test_a_killed_milvus_is_missed_then_found_again(lite: local_stack.Endpoints, private: Settings) -> None:
    """While it is gone: one clear error, at once. When it is back: every row, and no reload by the caller."""
    store = open_store(lite.milvus_url)
    with fill(store):
        query = unit(1, seed=6)[0]
        before, _ = store.nearest("images", query, 20)
        _kill_milvus(private.home)
        assert not store.healthy()
        with pytest.raises(ServiceUnavailable, match="SIGHTLINE_MILVUS_URL") as refusal:
            store.nearest("images", query, 20)
        assert refusal.value.service == "milvus"

        local_stack.endpoints(private)

        assert (store.nearest("images", query, 20)[0] == before).all()
        assert store.healthy()
        assert image_ids(store) == list(range(IMAGES))
        assert store.count("captions") == IMAGES * CAPTIONS_EACH


def _kill_milvus(home: Path) -> None:
    pid = next(service.pid for service in local_stack.status(home) if service.name == "milvus")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while start_mark(pid) is not None:
        pass


def test_a_milvus_that_is_not_there_is_told_quickly(tmp_path: Path) -> None:
    """No socket, no wait, no traceback in the log."""
    store = open_store(f"unix:{tmp_path}/none.sock", timeout_s=2)
    assert not store.healthy()
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        store.count("images")
    store.close()


def test_a_store_works_after_it_was_closed(store: EmbeddingStore) -> None:
    """Closing ends the connection, not the store."""
    store.upsert_images([1], unit(1))
    store.close()
    store.close()
    assert image_ids(store) == [1]
