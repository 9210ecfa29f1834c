"""Near-duplicates: the same picture resized, recompressed or cropped a little, found by its stored embedding.

Files equal byte for byte are one image already. Similar is not duplicate: the default threshold keeps two photographs
of one scene apart (docs/duplicates.md has what it finds and misses).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.catalog import stored_embeddings
from indexer.catalog.hits import ImageView
from indexer.query import Query
from indexer.search.cutoff import NEAR_DUPLICATE
from indexer.search.pages import all_hits
from indexer.search.searcher import Searcher

DEFAULT_THRESHOLD = NEAR_DUPLICATE
MAX_IMAGES = 20_000
_BLOCK = 512  # rows compared with all others at once: at 20,000 images that is 40 MB


@dataclass(frozen=True)
class Group:
    """Images that are one picture, the one to keep first; `similarity` is the least cosine between any two."""

    ids: tuple[int, ...]
    similarity: float


@dataclass(frozen=True)
class Twins:
    """A group with its images, the largest first, and each one's cosine to that first one."""

    images: tuple[ImageView, ...]
    cosines: tuple[float, ...]
    similarity: float


@dataclass(frozen=True)
class Found:
    """Groups within an answer, the most alike first; `compared` images were compared with each other."""

    compared: int
    groups: tuple[Twins, ...]


def find(searcher: Searcher, query: Query, threshold: float = DEFAULT_THRESHOLD) -> Found:
    """Near-duplicates among what a query finds; see `groups`.

    Raises:
        QueryError: the query finds more than 20,000 images; and as `Searcher.search`.
    """
    views = {hit.image.id: hit.image for hit in all_hits(searcher, query, MAX_IMAGES, "compared")}
    ids, embeddings = _stored(searcher, list(views))
    largest_first = sorted(range(len(ids)), key=lambda row: _largest_first(views[int(ids[row])]))
    ids, embeddings = ids[largest_first], embeddings[largest_first]
    rows = {int(image_id): row for row, image_id in enumerate(ids)}
    found = []
    for group in groups(ids, embeddings, threshold):
        members = [views[image_id] for image_id in group.ids]
        cosines = embeddings[[rows[view.id] for view in members]] @ embeddings[rows[members[0].id]]
        kept = np.clip(cosines, -1.0, 1.0)
        found.append(Twins(tuple(members), tuple(kept.tolist()), group.similarity))
    return Found(len(ids), tuple(found))


def _stored(searcher: Searcher, image_ids: list[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Those of the images that have an embedding, and the embeddings (N, D)."""
    semantics = searcher.semantics()
    dimension = semantics.embedder.dimension
    with searcher.sessions() as session:
        read = stored_embeddings.pages(session, "image", semantics.embedder_id, dimension, image_ids)
        pages = list(read)
    ids = np.concatenate([np.zeros(0, np.int64), *(page.ids for page in pages)])
    return ids, np.concatenate([np.zeros((0, dimension), np.float32), *(page.rows for page in pages)])


def _largest_first(image: ImageView) -> tuple[int, int, int]:
    """By pixels, then bytes, then age: the one to keep comes first."""
    return -(image.width or 0) * (image.height or 0), -image.bytes, image.id


def groups(ids: NDArray[np.int64], embeddings: NDArray[np.float32], threshold: float) -> list[Group]:
    """Groups of two and more, the most alike first.

    The first image that is in no group yet takes in all such that are at least `threshold` (cosine, -1..1) from it.
    Rows stand in the order in which images would be kept: `ids` (N,) and `embeddings` (N, D), of unit length, belong
    together. Takes O(N^2 D) time and O(N) memory beside a block of the comparison.
    """
    labels = _components(embeddings, threshold)
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    chained = [members for members in np.split(order, starts[1:]) if len(members) > 1]
    found = [group for members in chained for group in _around_firsts(embeddings, members, threshold)]
    made = [Group(tuple(int(i) for i in ids[m]), _least(embeddings[m])) for m in found]
    return sorted(made, key=lambda group: (-group.similarity, group.ids))


def _around_firsts(
    embeddings: NDArray[np.float32], members: NDArray[np.intp], threshold: float
) -> Iterator[NDArray[np.intp]]:
    """Groups within a chain. A chain of photographs that are merely alike may lead from a coat to a shoe."""
    while len(members) > 1:
        near = embeddings[members] @ embeddings[members[0]] >= threshold
        near[0] = True  # the cosine of a row with itself may round to less than 1
        if near.sum() > 1:
            yield members[near]
        members = members[~near]


def _components(embeddings: NDArray[np.float32], threshold: float) -> NDArray[np.int64]:
    """The component of each row (N,), merged block by block, so that no list of all near pairs is ever held."""
    from scipy.sparse import coo_array  # half a second that commands which compare nothing are spared
    from scipy.sparse.csgraph import connected_components

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
