"""A page of ids -> hits that say what they are and why they were found."""

from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy.orm import Session

from indexer.catalog import annotations, hits, tags
from indexer.nearest import Found
from indexer.query import Query
from indexer.search import composition, reasons
from indexer.search.evidence import WEIGHTS
from indexer.search.ranking import Meaning
from indexer.search.reasons import ChannelPart, TermPart
from indexer.search.result import Hit


def plain_hits(session: Session, ids: Sequence[int], query: Query) -> tuple[Hit, ...]:
    """Hits of a query without terms: found by its filter alone."""
    aliases = tags.other_names(session, reasons.asked_tags(query.filter))
    return tuple(Hit(view, reasons.of_hit(view, query, aliases=aliases)) for view in hits.load(session, ids))


def ranked_hits(
    session: Session, ids: Sequence[int], query: Query, meaning: Meaning, found: Found
) -> tuple[Hit, ...]:
    """Hits of a query with terms, in the order of `ids`, all of which are in `found`.

    An image gone since it was ranked is left out.
    """
    named = meaning.evidence.named
    aliases = tags.other_names(session, [*reasons.asked_tags(query.filter), *named])
    channels = _channels(meaning, found)
    terms = _terms(session, ids, meaning, channels)
    return tuple(
        Hit(
            view,
            reasons.of_hit(
                view, query, named=named, aliases=aliases, channels=channels[view.id], terms=terms[view.id]
            ),
            sum(part.part for part in channels[view.id].values()),
        )
        for view in hits.load(session, ids)
    )


def _channels(meaning: Meaning, found: Found) -> dict[int, dict[str, ChannelPart]]:
    """Each channel's part of the score, by image."""
    bonus = _bonus(meaning, found) if meaning.evidence.named else [None] * len(found.ids)
    told = {}
    for row, image_id in enumerate(found.ids.tolist()):
        cosines: dict[str, float | None] = {name: float(values[row]) for name, values in found.scores.items()}
        told[image_id] = reasons.channel_parts(cosines, meaning.scales, WEIGHTS, bonus[row])
    return told


def _bonus(meaning: Meaning, found: Found) -> list[float]:
    """The tag channel's part of each image found."""
    shown = meaning.evidence
    if not len(shown.ids):
        return [0.0] * len(found.ids)
    places = np.minimum(np.searchsorted(shown.ids, found.ids), len(shown.ids) - 1)
    return np.where(shown.ids[places] == found.ids, shown.parts[places], 0.0).tolist()


def _terms(
    session: Session,
    ids: Sequence[int],
    meaning: Meaning,
    channels: Mapping[int, Mapping[str, ChannelPart]],
) -> dict[int, tuple[TermPart, ...]]:
    """What each term adds to the two embeddings' channels, by image."""
    names = [composition.name(term) for term in meaning.composed.terms]
    if len(names) == 1:
        parts = {i: [sum(part.part for c, part in channels[i].items() if c != "tag")] for i in ids}
    else:
        embeddings = _embeddings(session, ids, meaning.composed.target, meaning.embedder_id)
        parts = {
            image_id: reasons.term_parts(
                meaning.composed.shares, embeddings[image_id], meaning.scales, WEIGHTS, meaning.centres
            ).tolist()
            for image_id in ids
        }
    return {i: tuple(map(TermPart, names, values)) for i, values in parts.items()}


def _embeddings(
    session: Session, ids: Sequence[int], target: np.ndarray, embedder_id: int
) -> dict[int, dict[str, np.ndarray]]:
    """Of each image its embedding, and that of its caption nearest to `target` (D,)."""
    stored = annotations.embeddings(session, ids, embedder_id)
    found: dict[int, dict[str, np.ndarray]] = {image_id: {} for image_id in ids}
    for image_id, packed in stored.images.items():
        found[image_id]["image"] = annotations.unpack(packed)
    for image_id, packed in stored.captions.values():
        caption = annotations.unpack(packed)
        best = found[image_id].get("caption")
        if best is None or caption @ target > best @ target:
            found[image_id]["caption"] = caption
    return found
