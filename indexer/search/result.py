"""What is asked of a search beside the query, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from indexer.catalog.hits import ImageView
from indexer.postings import FacetValue
from indexer.query import Query
from indexer.search.reasons import Why


@dataclass(frozen=True)
class Request:
    """How a query's answer is wanted.

    `limit` hits a page; `cursor` as the page before gave it; `facets` to count, of each the `facet_limit` commonest
    values; `all`: also what does not stand out; `explain`: tell the plan and its times.
    """

    limit: int = 50
    cursor: str | None = None
    facets: tuple[str, ...] = ()
    facet_limit: int = 20
    all: bool = False
    explain: bool = False


@dataclass(frozen=True)
class Count:
    """A number of images; not `exact`: of a total there are at least so many, of what is hidden at most."""

    value: int
    exact: bool = True


@dataclass(frozen=True)
class Hit:
    """One image found. `score` and `why` say how and for what; no score where nothing was ranked by meaning."""

    image: ImageView
    why: Why
    score: float | None = None


@dataclass(frozen=True)
class Explanation:
    """How the answer was come by: the plan, its alternatives' estimates (ms), times by stage (ms), the background."""

    plan: str
    estimates_ms: Mapping[str, float] = field(default_factory=dict)
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    background: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Missing:
    """A part that does not work (`milvus`, `redis`, `workers`), and what that means for whoever searches."""

    part: str
    detail: str


@dataclass(frozen=True)
class SearchResult:
    """A page of hits, best first.

    `total` images pass the filter and, with terms, stand out; `hidden` pass the filter and do not. `cutoff` is the
    score that tells them apart. `next_cursor` is None on the last page. `degraded`: what the search had to do without.
    """

    query: Query
    hits: Sequence[Hit]
    total: Count
    hidden: Count
    took_ms: float
    facets: Mapping[str, Sequence[FacetValue]] = field(default_factory=dict)
    cutoff: float | None = None
    next_cursor: str | None = None
    explanation: Explanation | None = None
    degraded: Sequence[Missing] = ()
