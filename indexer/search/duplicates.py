"""Near-duplicates: the same picture resized, recompressed or cropped a little, found by its stored embedding.

Files equal byte for byte are one image already. Similar is not duplicate: the default threshold keeps two photographs
of one scene apart (docs/duplicates.md has what it finds and misses).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

DEFAULT_THRESHOLD = 0.95
MAX_IMAGES = 20_000
_BLOCK = 512  # rows compared with all others at once: at 20,000 images that is 40 MB


@dataclass(frozen=True)
class Group:
    """Images that are one picture; `similarity` is the least cosine between any two of them."""

    ids: tuple[int, ...]
    similarity: float


def groups(ids: NDArray[np.int64], embeddings: NDArray[np.float32], threshold: float) -> list[Group]:
    """Groups of two and more, the most alike first.

    Two images are in one group if a chain of images leads from one to the other, each at least `threshold` (cosine,
    -1..1) from the next: of a picture shrunk step by step all steps are found. `ids` (N,) and `embeddings` (N, D), of
    unit length, belong together. Takes O(N^2 D) time and O(N) memory beside a block of the comparison.
    """
    labels = _components(embeddings, threshold)
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    found = [members for members in np.split(order, starts[1:]) if len(members) > 1]
    made = [Group(tuple(int(i) for i in ids[m]), _least(embeddings[m])) for m in found]
    return sorted(made, key=lambda group: (-group.similarity, group.ids))


def _components(embeddings: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """The component of each row (N,), merged block by block, so that no list of all near pairs is ever held."""
    count = len(embeddings)
    labels = np.arange(count)
    for start, cosines in _blocks(embeddings):
        rows, columns = np.nonzero(cosines >= threshold)
        ends = (labels[rows + start], labels[columns + start])
        near = coo_array((np.ones(len(rows), np.int8), ends), shape=(count, count))
        labels = connected_components(near, directed=False)[1][labels]
    return labels


def _least(embeddings: NDArray[np.float32]) -> float:
    least = min(float(cosines.min()) for _, cosines in _blocks(embeddings))
    return float(np.clip(least, -1.0, 1.0))


def _blocks(embeddings: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Cosines of rows from `start` on with all rows from there on: every pair once, and each row with itself."""
    for start in range(0, len(embeddings), _BLOCK):
        yield start, embeddings[start : start + _BLOCK] @ embeddings[start:].T
