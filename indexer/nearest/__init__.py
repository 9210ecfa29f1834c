"""The images nearest to a target, among those a filter keeps: none lost, whichever way is cheapest.

    target + set of ids > planner: what would each plan cost here? > one plan > a page of exact scores

Every plan gives the same page: what Milvus or a quick scan nominates is scored again in one way (`ranking`), from
the embeddings Postgres keeps, in memory (`memory`, `exact`) or read when needed (`stored`). Milvus is read by the
threshold algorithm (`threshold`). The one exception is an approximate index, which may not show what it should.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap
from sqlalchemy.orm import Session, sessionmaker

from indexer.embeddings import Channel as Collection
from indexer.embeddings import EmbeddingStore
from indexer.errors import QueryError, ServiceUnavailable
from indexer.nearest import exact, ranking, threshold
from indexer.nearest.exact import Answer, Question
from indexer.nearest.matrix import EmbeddingMatrix, as_array
from indexer.nearest.memory import HeldEmbeddings
from indexer.nearest.planner import Offer, Planner, Situation, deeper, first_depth
from indexer.nearest.products import one_thread_each
from indexer.nearest.progress import IndexProgress
from indexer.nearest.ranking import Scores
from indexer.nearest.stored import StoredEmbeddings, without_embeddings
from indexer.nearest.target import CHANNELS, Channel, Found, Key, Plan, PlanName, Target

__all__ = ["CHANNELS", "Channel", "Found", "Key", "Nearest", "Plan", "PlanName", "Target"]

AWAY_S = 5.0  # after Milvus failed, how long it is not asked again while there is another way
COUNTED_MOST = 20_000  # images that are counted exactly though none is held in memory: a quarter of a second
STORED_MOST = 20_000  # images to read from Postgres in place of Milvus, not more: it takes seconds
COLLECTIONS: Mapping[Channel, Collection] = {"image": "images", "caption": "captions"}


@dataclass
class _Search:
    """One search under way."""

    question: Question
    situation: Situation
    matrix: EmbeddingMatrix | None
    stored: StoredEmbeddings
    detail: dict[str, Any]
    offers: dict[PlanName, Offer] = field(default_factory=dict)
    alone: Callable[[], bool] = lambda: True

    @property
    def scorer(self) -> threshold.Scorer:
        """Exact scores, from memory if they are there."""
        return self.matrix or self.stored


class Nearest:
    """Finds the images nearest to a target, in the embeddings of one embedder.

    `memory_bytes` bounds the embeddings held in memory once `load` was called; 0 holds none. Safe to share among
    threads. Holds no session.
    """

    def __init__(self, store: EmbeddingStore, embedder_id: int, memory_bytes: int) -> None:
        one_thread_each()
        self._store = store
        self._embedder_id = embedder_id
        self._held = HeldEmbeddings(embedder_id, store.dimension, memory_bytes)
        self._planner = Planner()
        self._index = IndexProgress(store)
        self._away_until = 0.0

    def load(self, sessions: sessionmaker[Session]) -> threading.Thread:
        """Start reading the embeddings into memory, in the thread returned; searches go on meanwhile."""
        return self._held.load(sessions)

    def search(
        self,
        session: Session,
        target: Target,
        *,
        within: BitMap | None,
        library: BitMap,
        limit: int,
        after: Key | None = None,
        floor: float | None = None,
        whole: bool = False,
        plan: PlanName | None = None,
        alone: Callable[[], bool] = lambda: True,
    ) -> Found:
        """The first `limit` images after the cursor, by falling fused score, ties by id.

        Args:
            session: reads the embeddings Postgres keeps.
            target: what to look for.
            within: ids that pass the filter; `None`: all. Only those in `library` are ever returned.
            library: ids that may be found at all.
            limit: how many.
            after: `(fused, id)` of the last image of the page before.
            floor: images with at least this fused score are counted: see `Found`.
            whole: count over the whole library instead of `within`.
            plan: take this plan or fail, for comparing plans.
            alone: whether the time since it began says what the plan costs: see `indexer.nearest.crowd`.

        Raises:
            ServiceUnavailable: Milvus does not answer, and there is no other way; or Postgres does not.
            QueryError: the `plan` asked for cannot answer this.
            InvalidEmbedding: a vector of the wrong length, or not of unit length.
        """
        started = time.perf_counter()
        allowed = library if within is None else within & library
        counted = library if whole else allowed
        search = self._prepared(session, Question(target, library, allowed, counted, limit, after, floor))
        search.alone = alone
        if plan is not None:
            search.offers = _only(search.offers, plan)
        else:
            search.offers = self._trusted(search)
            search.offers = self._counting(search)
        name, answer, estimates = self._answered(search)
        page = answer.page
        return Found(
            page.ids,
            page.fused,
            {channel: values.astype(np.float32) for channel, values in page.cosines.items()},
            answer.above,
            answer.above_count,
            answer.exact,
            Plan(name, estimates, (time.perf_counter() - started) * 1000, search.detail),
        )

    # --- planning

    def _prepared(self, session: Session, question: Question) -> _Search:
        matrix = self._held.matrix(session)
        situation = Situation(
            rows=len(question.library),
            in_memory=matrix is not None,
            gathers=matrix is not None and exact.gathers(matrix, question),
            index=None,
        )
        stored = StoredEmbeddings(session, self._embedder_id, self._store.dimension)
        search = _Search(question, situation, matrix, stored, {"memory": self._held.state})
        search.offers = self._planner.offers(question, situation)
        if time.monotonic() < self._away_until and (offers := _without_milvus(search)):
            search.detail["milvus"] = "away"
            search.offers = offers
            return search
        try:
            search.situation = replace(situation, index="flat" if self._store.exact else "hnsw")
            search.offers = self._planner.offers(question, search.situation)
        except ServiceUnavailable as error:
            self._lost_milvus(search, error)
        return search

    def _trusted(self, search: _Search) -> dict[PlanName, Offer]:
        """Not by an index that is still being built, where something sure would do."""
        channels = [COLLECTIONS[channel] for channel in search.question.target.channels]
        try:
            if search.situation.index != "hnsw" or self._index.finished(channels):
                return search.offers
        except ServiceUnavailable as error:
            self._lost_milvus(search, error)
            return search.offers
        search.detail["index"] = "unfinished"
        return _sure(search) or search.offers

    def _counting(self, search: _Search) -> dict[PlanName, Offer]:
        """Where what reaches the floor is to be counted and that is no great work, only by what counts all of it."""
        question = search.question
        if question.floor is None or search.matrix is not None or len(question.library) > COUNTED_MOST:
            return search.offers
        return {n: o for n, o in search.offers.items() if n in ("stored", "stream")} or search.offers

    def _answered(self, search: _Search) -> tuple[PlanName, Answer, dict[PlanName, float]]:
        """Take the cheapest plan; where it fails or gives up, the next."""
        estimates = self._planner.estimates(search.offers)
        while search.offers:
            name = self._planner.cheapest(search.offers)
            offer = search.offers.pop(name)
            started = time.perf_counter()
            try:
                answer, offer = self._run(name, search, offer)
            except ServiceUnavailable as error:
                self._lost_milvus(search, error)
                continue
            took_ms = (time.perf_counter() - started) * 1000
            if search.alone():
                self._planner.took(offer, took_ms, search.offers.values())
            if answer is not None:
                return name, answer, estimates
            search.detail.setdefault("left", []).append(name)
        left = ", ".join(search.detail["left"])
        raise QueryError(f"Plan {left} cannot answer this search.")  # no other was to be taken

    def _lost_milvus(self, search: _Search, error: ServiceUnavailable) -> None:
        """Go on without Milvus, if that can be done in reasonable time."""
        if error.service != "milvus":
            raise error
        self._away_until = time.monotonic() + AWAY_S
        search.detail["milvus"] = "away"
        search.offers = _without_milvus(search)
        if not search.offers:
            raise error

    # --- plans

    def _run(self, name: PlanName, search: _Search, offer: Offer) -> tuple[Answer | None, Offer]:
        """The answer, or `None` if the plan gave up; and what it turned out to take."""
        question = search.question
        if name == "exact":
            assert search.matrix is not None
            return exact.search(search.matrix, question), offer
        if name == "stored":
            return _ranked(question, search.stored.score), offer
        if name == "stream":
            return _ranked(question, search.stored.score_all), offer
        if name == "bonus":
            return _ranked(question, without_embeddings), offer
        if name == "ids":
            return self._ids(search), offer
        return self._overfetch(search)

    def _ids(self, search: _Search) -> Answer | None:
        question = search.question
        read = self._reader(question.target, as_array(question.allowed))
        answer, search.detail["depth"] = threshold.search(
            question, read, search.scorer, first_depth(question.limit), deeper
        )
        return answer

    def _overfetch(self, search: _Search) -> tuple[Answer | None, Offer]:
        question, planner = search.question, self._planner
        others = planner.estimates(search.offers).values()

        def worth(depth: int) -> int | None:
            further = deeper(depth)
            if further is None:
                return None
            offer = planner.overfetch(question, search.situation, further)
            (cost,) = planner.estimates({"overfetch": offer}).values()
            return further if cost < min(others, default=np.inf) else None

        read = self._reader(question.target, None)
        answer, depth = threshold.search(question, read, search.scorer, planner.depth(question), worth)
        search.detail["depth"] = depth
        if answer is not None:
            end = (float(answer.page.fused[-1]), int(answer.page.ids[-1])) if len(answer.page.ids) else None
            planner.reached(question, depth, end)
        counts = question.whole or question.floor is not None
        if answer is not None and not answer.exact and counts and "exact" in search.offers:
            answer = None  # the memory can tell how many are above the floor, and a total should not waver
        return answer, planner.overfetch(question, search.situation, depth)

    def _reader(self, target: Target, among: NDArray[np.int64] | None) -> threshold.Reader:
        def read(channel: Channel, depth: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
            return self._store.nearest(COLLECTIONS[channel], target.vectors[channel], depth, among)

        return read


def _only(offers: dict[PlanName, Offer], plan: PlanName) -> dict[PlanName, Offer]:
    if plan not in offers:
        raise QueryError(f"Plan {plan} cannot answer this search; possible: {', '.join(sorted(offers))}.")
    return {plan: offers[plan]}


def _sure(search: _Search) -> dict[PlanName, Offer]:
    """The plans on offer that need no Milvus and end in reasonable time."""
    few = len(search.question.counted) <= STORED_MOST
    return {n: o for n, o in search.offers.items() if n == "exact" or (n == "stored" and few)}


def _without_milvus(search: _Search) -> dict[PlanName, Offer]:
    """What can be done without it; at worst a plan that compares no embeddings."""
    question, offers = search.question, _sure(search)
    if not offers and len(question.target.bonus_ids):
        offers["bonus"] = Offer("bonus", (1, len(question.counted)))
    return offers


def _ranked(question: Question, score: Callable[[Target, NDArray[np.int64]], Scores]) -> Answer:
    """The answer from exact scores of all that count."""
    scores = score(question.target, as_array(question.counted))
    above = exact.above_floor(question, scores)
    allowed = np.isin(scores.ids, as_array(question.allowed)) if question.whole else slice(None)
    page = ranking.page(scores.take(np.arange(len(scores.ids))[allowed]), question.limit, question.after)
    return Answer(page, above, len(above), True)
