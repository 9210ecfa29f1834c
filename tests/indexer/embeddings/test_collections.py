"""One collection for each model and channel: made by whoever is first, kept apart, in effect when told."""

import threading
import uuid

import pytest

from indexer import local_stack
from indexer.errors import ConfigurationError, ServiceUnavailable
from tests.indexer.embeddings.known_rows import Model, image_ids, open_store, unit


def test_models_keep_apart_and_the_alias_moves_only_when_told(stack: local_stack.Endpoints) -> None:
    """A second model gets collections of its own; the first stays in effect until the second is activated."""
    old, new = open_store(stack.milvus_url), open_store(stack.milvus_url, dimension=8)
    old.ensure()
    old.activate()
    old.upsert_images([1], unit(1))
    new.ensure()
    new.ensure()
    version = old.collection("images").removeprefix("images_")
    assert new.active_version() == version
    assert image_ids(new) == []
    new.activate()
    assert old.active_version() == new.collection("images").removeprefix("images_")
    assert image_ids(old) == [1]


def test_a_collection_of_another_length_is_refused(stack: local_stack.Endpoints) -> None:
    """Same version, other dimension: said at `ensure`, naming both lengths."""
    model = Model(uuid.uuid4().hex[:12])
    open_store(stack.milvus_url, model=model).ensure()
    with pytest.raises(ConfigurationError, match=r"length 16.*gives 8"):
        open_store(stack.milvus_url, model=model, dimension=8).ensure()


def test_several_may_race_to_create(stack: local_stack.Endpoints) -> None:
    """Each over a connection of its own, as processes would: whoever loses finds everything there."""
    model = Model(uuid.uuid4().hex[:12])
    failures: list[BaseException] = []
    writers = threading.Lock()

    def race() -> None:
        try:
            open_store(stack.milvus_url, model=model, write_lock=lambda: writers).ensure()
        except ServiceUnavailable as error:
            failures.append(error)

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_missing_collection_names_the_repair(stack: local_stack.Endpoints) -> None:
    """Before `ensure` there is nothing to search, which is said in so many words."""
    with pytest.raises(ServiceUnavailable, match="sightline check --repair"):
        open_store(stack.milvus_url).nearest("images", unit(1)[0], 5)
