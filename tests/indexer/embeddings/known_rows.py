"""Stores whose every row is known, and numpy's answers over them."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer import embeddings
from indexer.embeddings import EmbeddingStore

DIMENSION = 16
IMAGES = 300
CAPTIONS_EACH = 3


@dataclass(frozen=True)
class Model:
    """Names a model that nobody needs to run."""

    version: str
    name: str = "test"


def unit(rows: int, seed: int = 0, dimension: int = DIMENSION) -> embeddings.Vectors:
    """Random directions, (rows, dimension) float32 of unit length."""
    drawn = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def open_store(url: str, **options: Any) -> EmbeddingStore:
    """A store of its own collections, exact in whichever Milvus."""
    options = {"dimension": DIMENSION, "model": Model(uuid.uuid4().hex[:12]), "index": "FLAT"} | options
    return EmbeddingStore(url, **options)


def comes_to_hold(check: Callable[[], bool]) -> bool:
    """Whether it does: Lite shows at once what was written, a server within seconds."""
    until = time.monotonic() + 30
    while not (held := check()) and time.monotonic() < until:
        time.sleep(0.2)
    return held


def image_ids(store: EmbeddingStore) -> list[int]:
    """Every image id held, ascending."""
    return sorted(store.between(0, 2**62).image_ids)


def captions(store: EmbeddingStore) -> list[tuple[int, int]]:
    """Every (caption id, image id) held, ascending."""
    held = store.between(0, 2**62)
    return sorted(zip(held.caption_ids, held.owners, strict=True))


@dataclass(frozen=True)
class Filled:
    """A store whose every vector is known: image i has captions 3i, 3i+1, 3i+2."""

    store: EmbeddingStore
    images: embeddings.Vectors
    captions: embeddings.Vectors


@contextmanager
def fill(store: EmbeddingStore) -> Iterator[Filled]:
    """`store` with 300 images and 900 captions."""
    content = Filled(store, unit(IMAGES), unit(IMAGES * CAPTIONS_EACH, seed=1))
    store.ensure()
    store.upsert_images(range(IMAGES), content.images)
    of_image = [caption // CAPTIONS_EACH for caption in range(IMAGES * CAPTIONS_EACH)]
    store.upsert_captions(range(len(of_image)), of_image, content.captions)
    for channel, rows in (("images", IMAGES), ("captions", IMAGES * CAPTIONS_EACH)):
        assert comes_to_hold(lambda c=channel, n=rows: len(store.nearest(c, unit(1)[0], n)[0]) == n)  # type: ignore[misc]
    yield content
    store.close()


def exact(
    vectors: embeddings.Vectors, query: embeddings.Vectors, keep: Sequence[int], limit: int
) -> list[int]:
    """Row numbers of the nearest among `keep`, by numpy."""
    scores = vectors @ query
    return sorted(keep, key=lambda row: (-scores[row], row))[:limit]


def captions_of(images: Sequence[int]) -> list[int]:
    return [CAPTIONS_EACH * image + nth for image in images for nth in range(CAPTIONS_EACH)]
