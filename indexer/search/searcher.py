"""One search, step by step."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyroaring import BitMap
from sqlalchemy.orm import Session, sessionmaker

from indexer import metrics
from indexer.catalog import names
from indexer.errors import QueryError
from indexer.nearest import Found
from indexer.nearest.crowd import Crowd
from indexer.postings import Postings, View
from indexer.query import Order, Query
from indexer.search import cursor, explaining, ranking
from indexer.search.composition import Vector
from indexer.search.cursor import Cursor, Key
from indexer.search.ranking import Meaning, Semantics
from indexer.search.result import Count, Explanation, Hit, Missing, Request, SearchResult
from indexer.stage_clock import StageClock

MAX_LIMIT = 500
MAX_FACET_LIMIT = 1_000
NEWEST_FIRST = Order("added")
WITHOUT_MILVUS = "Milvus does not answer; embeddings were compared without it, and nothing is missing."
BY_TAGS_ALONE = "Milvus does not answer; found by the tags your words name, not by how pictures look."


@dataclass(frozen=True)
class _Asked:
    """A query understood as far as Postgres can: its names known, its filter a set of ids.

    `alone` says whether no other search has been under way since it came.
    """

    query: Query
    view: View
    passing: BitMap
    request: Request
    place: Cursor | None
    digest: str
    alone: Callable[[], bool]

    @property
    def by_relevance(self) -> bool:
        """Whether hits come in the order of their scores."""
        order = self.query.order
        return self.query.semantic and (order is None or order.key == "relevance")


@dataclass(frozen=True)
class _Page:
    """Ids of a page in order, and what is known of the whole answer. `kept`: all ids of the answer, if known."""

    ids: Sequence[int]
    total: Count
    next_cursor: str | None
    among: BitMap | None = None
    meaning: Meaning | None = None
    found: Found | None = None


class Searcher:
    """Answers queries. What ranks by meaning is asked for only when a query needs it. Safe to share among threads."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        postings: Postings,
        semantics: Callable[[], Semantics],
    ) -> None:
        self.sessions = sessions
        self.postings = postings
        self.semantics = semantics
        self._crowd = Crowd()

    def search(self, query: Query, request: Request | None = None) -> SearchResult:
        """One page of the answer to a query.

        Raises:
            QueryError: the query or cursor cannot be understood; UnknownTag if it names no known tag.
            NotFound: an example image is not in the catalogue.
            ServiceUnavailable: Postgres does not answer, or Milvus where it is needed.
        """
        request = request or Request()
        if not 1 <= request.limit <= MAX_LIMIT:
            raise QueryError(f"limit is {request.limit}; it must be between 1 and {MAX_LIMIT}.")
        started, clock = time.perf_counter(), StageClock()
        with clock.running(), self._crowd.joined() as alone:
            semantics = self.semantics() if query.semantic else None
            by_text = ranking.embed_texts(semantics, query.terms) if semantics else {}
            with self.sessions() as session:
                with clock.stage("filter"):
                    asked = self._ask(session, query, request, semantics, alone)
                page = (
                    self._rank(session, asked, semantics, by_text, clock)
                    if semantics
                    else self._browse(asked, clock)
                )
                return self._answer(session, asked, page, clock, started)

    def count(self, query: Query) -> Count:
        """How many images a query finds, those that do not stand out left out."""
        return self.search(query, Request(limit=1)).total

    def _ask(
        self,
        session: Session,
        query: Query,
        request: Request,
        semantics: Semantics | None,
        alone: Callable[[], bool],
    ) -> _Asked:
        by = (
            semantics.embedder.identity.version if semantics else ""
        )  # whose scores a cursor's place is among
        digest = cursor.digest(query, request.all, by)
        place = cursor.read(request.cursor, digest) if request.cursor else None
        known = names.resolve(session, query)
        view = self.postings.view(session)
        passing = view.matching(known.filter)
        return _Asked(known, view, passing - ranking.example_ids(known), request, place, digest, alone)

    def _browse(self, asked: _Asked, clock: StageClock) -> _Page:
        """Without terms: everything that passes, in some order."""
        order = asked.query.order
        chosen = NEWEST_FIRST if order is None or order.key == "relevance" else order
        with clock.stage("order"):
            ids, last = _sorted(asked, asked.passing, chosen)
        written = Cursor(asked.digest, last) if last else None
        return _Page(ids, Count(len(asked.passing)), str(written) if written else None)

    def _rank(
        self,
        session: Session,
        asked: _Asked,
        semantics: Semantics,
        by_text: Mapping[str, Vector],
        clock: StageClock,
    ) -> _Page:
        with clock.stage("background"):
            meaning = ranking.understand(session, asked.view, asked.query, semantics, by_text, asked.place)
        whole = bool(asked.request.facets) or not asked.by_relevance
        hiding = not asked.request.all and math.isfinite(meaning.floor)
        with clock.stage("nearest"):
            found = ranking.nearest(
                session,
                semantics,
                meaning,
                passing=asked.passing,
                library=asked.view.searchable - ranking.example_ids(asked.query),
                limit=asked.request.limit,
                place=asked.place if asked.by_relevance else None,
                floor=meaning.floor if hiding else None,
                whole=whole and hiding,
                alone=asked.alone,
            )
        kept = _kept(asked, found, whole) if hiding else asked.passing
        total = Count(len(kept), found.exact) if kept is not None else Count(found.above_count, found.exact)
        if asked.by_relevance:
            return self._by_score(asked, meaning, found, total)
        return self._by_order(session, asked, semantics, meaning, found, kept or BitMap(), total)

    def _by_score(self, asked: _Asked, meaning: Meaning, found: Found, total: Count) -> _Page:
        reached = found.ids if asked.request.all else found.ids[found.fused >= meaning.floor]
        ids = [int(image_id) for image_id in reached]
        more = len(ids) == asked.request.limit
        written = _cursor(asked, meaning, (float(found.fused[len(ids) - 1]), ids[-1])) if more else None
        return _Page(ids, total, written, found.above, meaning, found)

    def _by_order(
        self,
        session: Session,
        asked: _Asked,
        semantics: Semantics,
        meaning: Meaning,
        found: Found,
        kept: BitMap,
        total: Count,
    ) -> _Page:
        """What stands out, in another order than that of the scores, which are then asked for."""
        assert asked.query.order is not None
        ids, last = _sorted(asked, kept, asked.query.order)
        scored = ranking.nearest(
            session,
            semantics,
            meaning,
            passing=BitMap(ids),
            library=asked.view.searchable,
            limit=max(1, len(ids)),
            place=None,
            floor=None,
            whole=False,
            alone=asked.alone,
        )
        written = _cursor(asked, meaning, last) if last else None
        return _Page(ids, total, written, found.above, meaning, scored)

    def _answer(
        self, session: Session, asked: _Asked, page: _Page, clock: StageClock, started: float
    ) -> SearchResult:
        facets: Mapping[str, Any] = {}
        if asked.request.facets:
            with clock.stage("facets"):
                request = asked.request
                among = None if request.all else page.among
                facets = asked.view.facets(asked.query.filter, among, request.facets, request.facet_limit)
        with clock.stage("load"):
            shown = self._hits(session, asked, page)
        took_s = time.perf_counter() - started
        plan = page.found.plan.name if page.found else "postings"
        metrics.search_seconds.labels(plan=plan).observe(took_s)
        return SearchResult(
            asked.query,
            shown,
            page.total,
            Count(max(0, len(asked.passing) - page.total.value), page.total.exact),
            took_s * 1000,
            facets,
            page.meaning.floor - page.meaning.offset if page.meaning else None,
            page.next_cursor,
            _explanation(page, clock) if asked.request.explain else None,
            _degraded(page.found),
        )

    def _hits(self, session: Session, asked: _Asked, page: _Page) -> tuple[Hit, ...]:
        if page.meaning is None or page.found is None:
            return explaining.plain_hits(session, page.ids, asked.query)
        return explaining.ranked_hits(session, page.ids, asked.query, page.meaning, page.found)


def _degraded(found: Found | None) -> tuple[Missing, ...]:
    if found is None or found.plan.detail.get("milvus") != "away":
        return ()
    return (Missing("milvus", BY_TAGS_ALONE if found.plan.name == "bonus" else WITHOUT_MILVUS),)


def _sorted(asked: _Asked, ids: BitMap, order: Order) -> tuple[list[int], Key | None]:
    """A page of ids in an order Postgres knows, and where it ended if more may follow."""
    after = None
    if asked.place is not None:
        value, image_id = asked.place.after
        after = (None if value is None else int(value), image_id)
    return asked.view.page(ids, order, asked.request.limit, after)


def _kept(asked: _Asked, found: Found, whole: bool) -> BitMap | None:
    """All ids of the answer, if known."""
    if found.above is None:
        return None
    return found.above & asked.passing if whole else found.above


def _cursor(asked: _Asked, meaning: Meaning, after: Key) -> str:
    scales = {name: (spread.mean, spread.deviation) for name, spread in meaning.scales.items()}
    return str(Cursor(asked.digest, after, scales, meaning.floor))


def _explanation(page: _Page, clock: StageClock) -> Explanation:
    stages = {name: round(seconds * 1000, 3) for name, seconds in clock.seconds.items()}
    if page.meaning is None or page.found is None:
        return Explanation("postings", stages_ms=stages)
    plan = page.found.plan
    background = {name: spread._asdict() for name, spread in page.meaning.scales.items()}
    estimates = {str(name): ms for name, ms in plan.estimates_ms.items()}
    return Explanation(plan.name, estimates, stages, background, plan.detail)
