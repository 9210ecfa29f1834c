"""Ranking by meaning: what a query's terms come to, and the images nearest to that."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pyroaring import BitMap
from sqlalchemy.orm import Session

from indexer.catalog import annotations
from indexer.errors import NotFound
from indexer.nearest import CHANNELS, Found, Nearest, Target
from indexer.postings import View
from indexer.query import ExampleTerm, ImageTerm, Query, Term
from indexer.search import composition, cutoff, examples, fusion
from indexer.search.background import Background, Sample, Spread
from indexer.search.composition import Composition, Vector
from indexer.search.cursor import Cursor
from indexer.search.evidence import SHOWN
from indexer.search.fusion import Evidence

if TYPE_CHECKING:
    from indexer.predictors import Embedder


@dataclass(frozen=True)
class Semantics:
    """What ranking by meaning takes: the embedder, and the library as it sees it."""

    embedder: "Embedder"
    embedder_id: int
    nearest: Nearest
    background: Background


@dataclass(frozen=True)
class Meaning:
    """What a query's terms come to before any filter; the same on every page of its answer.

    `floor` is the least score, in the units of `target`, that stands out from the background; `centres` are the
    background's mean embeddings (D,), where there are several terms to tell apart. `embedder_id`: in whose space.
    """

    composed: Composition
    target: Target
    scales: Mapping[str, Spread]
    floor: float
    evidence: Evidence
    centres: Mapping[str, Vector]
    embedder_id: int

    @property
    def offset(self) -> float:
        """What is taken from a score of the target to tell it: there the background is at 0."""
        return fusion.offset(self.scales)


def embed_texts(semantics: Semantics, terms: Sequence[Term]) -> dict[str, Vector]:
    """Unit embeddings of the texts among the terms; no transaction should be open meanwhile."""
    texts = composition.texts(terms)
    return dict(zip(texts, semantics.embedder.embed_texts(texts), strict=True)) if texts else {}


def understand(
    session: Session,
    view: View,
    query: Query,
    semantics: Semantics,
    by_text: Mapping[str, Vector],
    place: Cursor | None,
) -> Meaning:
    """What to look for, and from which score on it stands out; `place` brings them from an earlier page.

    Raises:
        NotFound: an example image is not indexed.
        QueryError: an uploaded example's token cannot be used; the terms cancel out.
    """
    vectors = _vectors(session, query.terms, semantics, by_text)
    composed = composition.compose(query.terms, vectors)
    shown = fusion.evidence(session, view, query.terms)
    sample = semantics.background.sample(session, view.searchable, view.revision)
    scales = (
        {name: Spread(*values) for name, values in place.scales.items()}
        if place
        else sample.statistics(dict.fromkeys(CHANNELS, composed.target))
    )
    target = fusion.aim(composed.target, scales, shown)
    floor = place.floor if place and place.floor is not None else _floor(sample, target, view)
    if shown.whole:  # who shows the one tag asked for stands out, however many others do
        floor = min(floor, fusion.offset(scales) + SHOWN)
    if _by_example_alone(
        query.terms
    ):  # and so does a picture as near as its copy, in however uniform a library
        floor = min(floor, fusion.score_of(scales, cutoff.NEAR_DUPLICATE))
    centres = _centres(sample) if len(query.terms) > 1 else {}
    return Meaning(composed, target, scales, floor, shown, centres, semantics.embedder_id)


def _vectors(
    session: Session, terms: Sequence[Term], semantics: Semantics, by_text: Mapping[str, Vector]
) -> list[Vector]:
    embedder = semantics.embedder
    ids = composition.image_ids(terms)
    stored = annotations.embeddings(session, ids, semantics.embedder_id).images if ids else {}
    for image_id in ids:
        if image_id not in stored:
            raise NotFound(f"Image {image_id} is not indexed, so nothing can be compared with it.")
    by_image = {image_id: _unit(annotations.unpack(packed)) for image_id, packed in stored.items()}
    tokens = [term.token for term in terms if isinstance(term, ExampleTerm)]
    by_token = {
        token: examples.decode(token, embedder.identity.version, embedder.dimension) for token in tokens
    }
    return composition.arrange(terms, by_text, by_image, by_token)


def _unit(vector: Vector) -> Vector:
    return vector / max(float(np.linalg.norm(vector)), 1e-6)


def _centres(sample: Sample) -> dict[str, Vector]:
    """Each channel's mean embedding (D,)."""
    rows = {"image": sample.images, "caption": sample.captions}
    return {
        name: values.mean(axis=0) if len(values) else np.zeros(1, np.float32) for name, values in rows.items()
    }


def _floor(sample: Sample, target: Target, view: View) -> float:
    vectors: dict[str, Vector] = {name: target.vectors[name] for name in CHANNELS}
    weights: dict[str, float] = {name: target.weights[name] for name in CHANNELS}
    missing: dict[str, float] = {name: target.missing[name] for name in CHANNELS}
    background = sample.fused(vectors, weights, missing, target.bonus_ids, target.bonus)
    return cutoff.floor(background, len(view.searchable))


def _by_example_alone(terms: Sequence[Term]) -> bool:
    return all(isinstance(term, ImageTerm | ExampleTerm) and term.weight > 0 for term in terms)


def example_ids(query: Query) -> BitMap:
    """The indexed images one wants more of: they are no answers to themselves."""
    return BitMap(term.image_id for term in query.terms if isinstance(term, ImageTerm) and term.weight > 0)


def nearest(
    session: Session,
    semantics: Semantics,
    meaning: Meaning,
    *,
    passing: BitMap,
    library: BitMap,
    limit: int,
    place: Cursor | None,
    floor: float | None,
    whole: bool,
    alone: Callable[[], bool],
) -> Found:
    """The best of `passing`, after `place`; counts what reaches `floor`."""
    after = (float(place.after[0] or 0.0), place.after[1]) if place else None
    within = None if len(passing) == len(library) else passing
    return semantics.nearest.search(
        session,
        meaning.target,
        within=within,
        library=library,
        limit=limit,
        after=after,
        floor=floor,
        whole=whole,
        alone=alone,
    )
