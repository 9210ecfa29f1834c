"""How the new model's answers differ from those of the one in effect, before it takes its place."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session, sessionmaker

from indexer import query as language
from indexer.catalog import differences, models, reindexes, saved_searches
from indexer.catalog.reindexes import Change
from indexer.embeddings.stores import EmbeddingStores
from indexer.errors import NotFound, QueryError
from indexer.nearest import Nearest
from indexer.postings import Postings
from indexer.query import Query, TextTerm
from indexer.search import Request, Searcher, Semantics
from indexer.search.background import Background

if TYPE_CHECKING:
    from indexer.predictors import Embedder

TOP = 10
CAPTIONS = 100  # asked as queries
SEARCHES = 200  # saved ones compared
TAGS = 50  # told by name, of those gained and of those lost
EXAMPLES = 10

logger = logging.getLogger(__name__)


def compare(
    sessions: sessionmaker[Session],
    change: Change,
    embedders: "tuple[Embedder, Embedder] | None",
    stores: EmbeddingStores,
) -> dict[str, Any]:
    """What changes with the model, as plain values for JSON; `embedders` are the one in effect and the new one, if both
    are here.

    Raises:
        ServiceUnavailable: Postgres does not answer, or Milvus where it is needed.
    """
    with sessions() as session:
        row = models.in_effect(session)[change.kind]
        told: dict[str, Any] = {
            "from": {"name": row.name, "version": row.version},
            "to": {"name": change.name, "version": change.version},
            "images": reindexes.count(session),
        }
        if change.kind == "tagger":
            return told | _tags(session, change.annotator_id, row.annotator_id)
        if change.kind == "captioner":
            return told | _captions(session, change.annotator_id, row.annotator_id)
    if embedders is None:
        return told
    old, new = embedders
    postings = Postings()
    searchers = [
        Searcher(sessions, postings, cache(partial(_semantics, stores, embedder, embedder_id)))
        for embedder, embedder_id in ((old, row.annotator_id), (new, change.annotator_id))
    ]
    return told | _searches(sessions, *searchers)


def _tags(session: Session, new: int, old: int) -> dict[str, Any]:
    gained, lost = differences.tags_gained(session, new, old), differences.tags_lost(session, new, old)
    return {
        "tags_gained": sum(gained.values()),
        "tags_lost": sum(lost.values()),
        "gained": _first(gained),
        "lost": _first(lost),
    }


def _first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """In pairs: Postgres keeps no order of keys."""
    return list(counts.items())[:TAGS]


def _captions(session: Session, new: int, old: int) -> dict[str, Any]:
    compared, changed, examples = differences.captions_changed(session, new, old, EXAMPLES)
    return {
        "captions_compared": compared,
        "captions_changed": changed,
        "examples": [asdict(one) for one in examples],
    }


def _semantics(stores: EmbeddingStores, embedder: "Embedder", embedder_id: int) -> Semantics:
    """As the API has it, without every embedding in memory."""
    nearest = Nearest(stores.open(embedder.identity, embedder.dimension), embedder_id, 0)
    return Semantics(embedder, embedder_id, nearest, Background(embedder_id))


def _searches(sessions: sessionmaker[Session], old: Searcher, new: Searcher) -> dict[str, Any]:
    with sessions() as session:
        saved = {one.name: one.query for one in saved_searches.all_of_them(session)}
        captioner = models.in_effect(session)["captioner"].annotator_id
        texts = differences.some_captions(session, captioner, CAPTIONS)
    shared: dict[str, float] = {}
    for name, text in list(saved.items())[:SEARCHES]:
        overlap = _overlap(old, new, _parsed(text))
        if overlap is not None:
            shared[name] = overlap
    sample = [_overlap(old, new, Query((TextTerm(text),))) for text in texts]
    return {
        "saved_searches": shared,
        "captions_asked": len(sample),
        "captions_overlap": _mean([one for one in sample if one is not None]),
    }


def _parsed(text: str) -> Query | None:
    try:
        asked = language.parse(text)
    except QueryError:
        return None
    return asked if asked.semantic else None


def _overlap(old: Searcher, new: Searcher, asked: Query | None) -> float | None:
    """Which share (0..1) of the first ten both find; None where nothing is ranked by meaning or can be."""
    if asked is None:
        return None
    try:
        first, second = (
            [hit.image.id for hit in one.search(asked, Request(limit=TOP, all=True)).hits]
            for one in (old, new)
        )
    except (QueryError, NotFound) as error:
        logger.warning("a saved search is not compared: %s", error)
        return None
    most = max(len(first), len(second))
    return round(len({*first} & {*second}) / most, 3) if most else None


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 3) if values else None
