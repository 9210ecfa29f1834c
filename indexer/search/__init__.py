"""Query -> tag filter (Postgres) + nearest embeddings (Milvus) -> ranked, explained hits.

Every image is compared in two channels: the query with the image's embedding, and the query with its
caption's embedding. A hit's score is their weighted sum, and both parts are reported.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy.orm import Session

from indexer.catalog import annotations, filters, hits, tags
from indexer.decoding import DecodePool
from indexer.embeddings import EmbeddingStore
from indexer.errors import NotFound
from indexer.images import Limits, decode
from indexer.old_query import Query

if TYPE_CHECKING:
    from indexer.predictors import Embedder

WEIGHTS = {"image": 0.7, "caption": 0.3}
FIRST_DEPTH = 200
MAX_DEPTH = 16_384

Scores = dict[int, float]
# An image, its score and each channel's part.
Ranked = tuple[int, float | None, dict[str, float]]


@dataclass(frozen=True)
class Hit:
    """One image found: its score, each channel's part (cosine, -1..1), the asked tags it shows."""

    image: hits.ImageView
    score: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    matched_tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchResult:
    """A page of hits, best first; `total` images pass the filter (exact)."""

    hits: tuple[Hit, ...]
    total: int
    took_ms: float


@dataclass(frozen=True)
class Searcher:
    """Answers queries. Holds no session and no transaction while the models or Milvus work.

    Example files are decoded in `pool`, where strangers' files belong; without one, here.
    """

    store: EmbeddingStore
    embedder: "Embedder"
    embedder_id: int
    limits: Limits = field(default_factory=Limits)
    pool: DecodePool | None = None

    def search(self, session: Session, query: Query) -> SearchResult:
        """Answer one query.

        Raises:
            QueryError: the query cannot be understood; UnknownTag if it names no known tag.
            NotFound: an example image is not in the catalogue.
            ImageError: an example file is not an image that can be read.
            ServiceUnavailable: Postgres or Milvus does not answer.
        """
        if not query.semantic:
            return browse(session, query)
        started = time.perf_counter()
        query.check()
        wanted = _resolve(session, query)
        target = self._embed(session, query)
        ranked, total = self._rank(session, query, wanted, target)
        found = _explain(session, wanted, ranked)
        return SearchResult(found, total, (time.perf_counter() - started) * 1000)

    def _embed(self, session: Session, query: Query) -> np.ndarray:
        """The query as one unit vector (D,): the sum of its texts' and images' embeddings."""
        parts = []
        if text := query.text.strip():
            parts.append(self.embedder.embed_texts([text])[0])
        for data in query.like_images:
            parts.append(self.embedder.embed_images(self._pixels(data)[None])[0])
        stored = annotations.embeddings(session, query.like_ids, self.embedder_id).images
        for image_id in query.like_ids:
            if image_id not in stored:
                raise NotFound(f"Image {image_id} is not indexed, so nothing can be compared with it.")
            parts.append(annotations.unpack(stored[image_id]))
        total = np.sum(parts, axis=0)
        return np.asarray(total / max(float(np.linalg.norm(total)), 1e-6), np.float32)

    def _pixels(self, data: bytes) -> np.ndarray:
        """A file's pixels as the embedder wants them: (size, size, 3) uint8."""
        specs = [self.embedder.input]
        decoded = self.pool.decode(data, specs) if self.pool else decode(data, specs, self.limits)
        return decoded.inputs[0]

    def _rank(
        self, session: Session, query: Query, wanted: filters.TagIds, target: np.ndarray
    ) -> tuple[list[Ranked], int]:
        within = None if wanted.empty else filters.matching_ids(session, wanted)
        total = filters.count(session, wanted) if within is None else len(within)
        last = query.offset + query.limit + len(query.like_ids)
        depth = max(FIRST_DEPTH, 2 * last)
        while True:
            fused, exact = self._fuse(session, target, depth, within, last)
            if exact or depth >= min(total, MAX_DEPTH):
                break
            depth *= 4
        kept = [row for row in fused if row[0] not in query.like_ids]
        return kept[query.offset : query.offset + query.limit], max(0, total - len(query.like_ids))

    def _fuse(
        self, session: Session, target: np.ndarray, depth: int, within: list[int] | None, last: int
    ) -> tuple[list[Ranked], bool]:
        """Candidates of both channels by falling score, and whether the first `last` are surely the best.

        No image outside the candidates can score more than the weighted sum of the two channels' last
        scores (Fagin, Lotem, Naor 2003, "Optimal aggregation algorithms for middleware").
        """
        images = dict(self.store.search_images(target, depth, within))
        captions: Scores = {}
        for _, image_id, score in self.store.search_captions(target, depth, within):
            captions.setdefault(image_id, score)
        ends = {
            "image": min(images.values(), default=-1.0),
            "caption": min(captions.values(), default=-1.0),
        }
        self._complete(session, target, images, captions)
        channels = {"image": images, "caption": captions}
        fused = [
            (
                image_id,
                sum(WEIGHTS[name] * channel[image_id] for name, channel in channels.items()),
                {name: channel[image_id] for name, channel in channels.items()},
            )
            for image_id in images.keys() & captions.keys()
        ]
        fused.sort(key=lambda row: (-row[1], row[0]))
        bound = sum(WEIGHTS[name] * end for name, end in ends.items())
        exact = len(fused) >= last and fused[last - 1][1] >= bound
        return list(fused), exact

    def _complete(self, session: Session, target: np.ndarray, images: Scores, captions: Scores) -> None:
        """Score in one channel what was found only in the other, from the embeddings Postgres keeps."""
        missing = sorted(images.keys() ^ captions.keys())
        stored = annotations.embeddings(session, missing, self.embedder_id)
        for image_id, packed in stored.images.items():
            images.setdefault(image_id, float(annotations.unpack(packed) @ target))
        best: Scores = {}
        for image_id, packed in stored.captions.values():
            score = float(annotations.unpack(packed) @ target)
            best[image_id] = max(score, best.get(image_id, -1.0))
        for image_id, score in best.items():
            captions.setdefault(image_id, score)


def browse(session: Session, query: Query) -> SearchResult:
    """The images that pass the filter, the newest first: needs Postgres only.

    Raises:
        QueryError: the query cannot be understood; UnknownTag if it names no known tag.
    """
    started = time.perf_counter()
    query.check()
    wanted = _resolve(session, query)
    ids = filters.newest(session, wanted, query.limit, query.offset)
    found = _explain(session, wanted, [(image_id, None, {}) for image_id in ids])
    return SearchResult(found, filters.count(session, wanted), (time.perf_counter() - started) * 1000)


def _resolve(session: Session, query: Query) -> filters.TagIds:
    named = query.tags
    ids = tags.resolve(session, [*named.all, *named.any, *named.none])
    all_ids, any_ids, none_ids = ([ids[n] for n in names] for names in (named.all, named.any, named.none))
    return filters.TagIds(all_ids, any_ids, none_ids, named.min_confidence)


def _explain(session: Session, wanted: filters.TagIds, ranked: Sequence[Ranked]) -> tuple[Hit, ...]:
    asked = {*wanted.all, *wanted.any}
    views = {view.id: view for view in hits.load(session, [row[0] for row in ranked])}
    return tuple(
        Hit(
            views[image_id],
            score,
            scores,
            tuple(dict.fromkeys(tag.name for tag in views[image_id].tags if tag.tag_id in asked)),
        )
        for image_id, score, scores in ranked
        if image_id in views
    )
