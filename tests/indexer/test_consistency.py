"""Drift between Postgres and Milvus is found and mended."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalog import images
from indexer.consistency import Checker, _differences
from tests.indexer.conftest import Library

DIMENSION = 256


@pytest.fixture
def checker(library: Library, photographs: list[Path]) -> Checker:
    """Over a library of four images."""
    library.index(*photographs[:4])
    return Checker(library.sessions, library.pipeline.store, library.pipeline.annotators.embedder)


def _never(image_ids: list[int]) -> None:
    pytest.fail(f"nothing should be queued, but {image_ids} were")


def test_a_healthy_library_agrees(checker: Checker) -> None:
    """Same ids on both sides."""
    report = checker.check()
    assert report.agrees
    assert report.images_by_state["indexed"] == report.images_in_milvus == report.captions_in_milvus == 4


def test_lost_embeddings_are_put_back(checker: Checker) -> None:
    """From what Postgres keeps, without looking at the pictures."""
    lost = list(checker.store.image_ids())[1:3]
    checker.store.delete_images(lost)
    report = checker.check()
    assert report.images_missing == report.captions_missing == lost
    checker.repair(report, _never)
    assert checker.check().agrees


def test_surplus_embeddings_are_removed(checker: Checker) -> None:
    """An image that Postgres does not know is not left to be found."""
    row = np.eye(1, DIMENSION, dtype=np.float32)
    checker.store.upsert_images([900], row)
    checker.store.upsert_captions([901], [900], row)
    report = checker.check()
    assert report.images_surplus == report.captions_surplus == [900]
    checker.repair(report, _never)
    assert checker.check().agrees


def test_a_stale_caption_of_a_living_image_is_removed_alone(checker: Checker) -> None:
    """Its image and its true caption stay."""
    image_id = next(checker.store.image_ids())
    checker.store.upsert_captions([902], [image_id], np.eye(1, DIMENSION, dtype=np.float32))
    report = checker.check()
    assert report.captions_surplus == [image_id]
    checker.repair(report, _never)
    assert checker.check().agrees


def test_images_of_another_embedder_are_sent_back_to_the_workers(checker: Checker) -> None:
    """After a change of model nothing is silently missing from search."""
    changed = Checker(checker.sessions, checker.store, checker.embedder_id + 100)
    queued: list[int] = []
    report = changed.check()
    assert len(report.not_embedded) == 4
    changed.repair(report, queued.extend)
    assert sorted(queued) == report.not_embedded
    with checker.sessions() as session:
        assert images.unfinished(session) == report.not_embedded


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_merging_finds_exactly_the_differences(expected: set[int], actual: set[int]) -> None:
    """Whatever the two sides hold."""
    missing, surplus = _differences(iter(sorted(expected)), iter(sorted(actual)))
    assert (set(missing), set(surplus)) == (expected - actual, actual - expected)
