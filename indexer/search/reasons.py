"""Why an image was found: each channel's part, the tags and caption words that match, and which term it is owed to."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from indexer.catalog.hits import ImageView, TagView
from indexer.query import All, Any, Node, Query, TagIs, TextTerm
from indexer.search.background import Spread
from indexer.search.words import content_words, words

Span = tuple[int, int]


@dataclass(frozen=True)
class ChannelPart:
    """One channel's part of a score. `cosine` and `standing` (see `background`) are None for the tag channel, and
    where the image has nothing in the channel.
    """

    part: float
    cosine: float | None = None
    standing: float | None = None


@dataclass(frozen=True)
class MatchedTag:
    """A tag asked for, with the surest statement that the image shows it."""

    name: str
    confidence: float
    threshold: float | None
    kind: str
    annotator: str
    version: str


@dataclass(frozen=True)
class MatchedCaption:
    """A caption, and the characters (start, end) of the words in it that were asked for."""

    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class TermPart:
    """What one of the query's texts or pictures adds to a score; the parts add up to the channels'."""

    term: str
    part: float


@dataclass(frozen=True)
class Why:
    """Why one image was found."""

    channels: Mapping[str, ChannelPart] = field(default_factory=dict)
    tags: tuple[MatchedTag, ...] = ()
    caption: MatchedCaption | None = None
    terms: tuple[TermPart, ...] = ()


def channel_parts(
    cosines: Mapping[str, float | None],
    scales: Mapping[str, Spread],
    weights: Mapping[str, float],
    bonus: float | None = None,
) -> dict[str, ChannelPart]:
    """Each channel's part of a score; they add up to it.

    Args:
        cosines: by channel, None where the image has nothing there: such a channel stands at its background's mean.
        scales: by channel, the query's background.
        weights: by channel, what one standing is worth.
        bonus: the tag channel's part; None if no tag was named.
    """
    parts = {}
    for channel, cosine in cosines.items():
        spread = scales[channel]
        standing = None if cosine is None else (cosine - spread.mean) / spread.deviation
        parts[channel] = ChannelPart(weights[channel] * (standing or 0.0), cosine, standing)
    if bonus is not None:
        parts["tag"] = ChannelPart(bonus)
    return parts


def term_parts(
    shares: np.ndarray,
    embeddings: Mapping[str, np.ndarray],
    scales: Mapping[str, Spread],
    weights: Mapping[str, float],
    centres: Mapping[str, np.ndarray],
) -> np.ndarray:
    """What each term adds to the channels' parts of one image: (T,), adding up to them.

    A cosine with the composed query is the sum of its products with the terms' shares. Each product counts from its
    own mean over the sample, and what the background's mean lies off the sum of those is divided evenly.

    Args:
        shares: (T, D) the terms' weighted parts of the query, adding up to its unit vector.
        embeddings: by channel, the image's unit vector (D,); of several captions the nearest.
        scales: by channel, the query's background.
        weights: by channel, what one standing is worth.
        centres: by channel, the sample's mean embedding (D,).
    """
    total = np.zeros(len(shares))
    for channel, embedding in embeddings.items():
        mean, deviation = scales[channel]
        level = shares @ centres[channel]
        level = level + (mean - level.sum()) / len(shares)
        total += weights[channel] / deviation * (shares @ embedding - level)
    return total


def asked_tags(node: Node) -> tuple[int, ...]:
    """Ids of the tags a filter asks for, not of those it excludes; names must have been resolved."""
    match node:
        case TagIs(tag_id=int(tag_id)):
            return (tag_id,)
        case All(parts=parts) | Any(parts=parts):
            return tuple(dict.fromkeys(tag_id for part in parts for tag_id in asked_tags(part)))
        case _:
            return ()


def matched_tags(tags: Iterable[TagView], asked: Collection[int]) -> tuple[MatchedTag, ...]:
    """The asked tags that are stated of an image, each with its surest statement, a person's before a machine's."""
    best: dict[int, TagView] = {}
    for tag in tags:
        if tag.tag_id in asked and not tag.rejected:
            other = best.get(tag.tag_id)
            if other is None or _sureness(tag) > _sureness(other):
                best[tag.tag_id] = tag
    return tuple(
        MatchedTag(tag.name, tag.confidence, tag.threshold, tag.kind, tag.annotator, tag.version)
        for tag in sorted(best.values(), key=_sureness, reverse=True)
    )


def _sureness(tag: TagView) -> tuple[bool, float]:
    return tag.kind == "person", tag.confidence


def spans(caption: str, texts: Iterable[str] = (), names: Iterable[str] = ()) -> tuple[Span, ...]:
    """Characters (start, end) of a caption's words that were asked for, in order; neighbours stay apart.

    Args:
        caption: where to look.
        texts: every word that means something counts alone, in any form ("running" finds "runs").
        names: of tags, with their aliases; all words of a name must stand together.
    """
    said = words(caption)
    alone = {word.stem for text in texts for word in content_words(text)}
    found = {(word.start, word.end) for word in said if word.stem in alone}
    for name in names:
        wanted = [word.stem for word in words(name.replace("_", " "))]
        for first in range(len(said) - len(wanted) + 1) if wanted else ():
            run = said[first : first + len(wanted)]
            if [word.stem for word in run] == wanted:
                found.add((run[0].start, run[-1].end))
    return _outermost(found)


def _outermost(found: set[Span]) -> tuple[Span, ...]:
    """Spans that lie in no other; longer ones first among those that begin together."""
    kept: list[Span] = []
    for start, end in sorted(found, key=lambda span: (span[0], -span[1])):
        if not kept or end > kept[-1][1]:
            kept.append((start, end))
    return tuple(kept)


def matched_caption(
    captions: Sequence[str], texts: Sequence[str] = (), names: Sequence[str] = ()
) -> MatchedCaption | None:
    """Of an image's captions the first with the most words asked for; None without any such word."""
    marked = [MatchedCaption(caption, spans(caption, texts, names)) for caption in captions]
    best = max(marked, key=lambda one: len(one.spans), default=None)
    return best if best is not None and best.spans else None


def of_hit(
    view: ImageView,
    query: Query,
    *,
    named: Collection[int] = (),
    aliases: Mapping[int, Sequence[str]] | None = None,
    channels: Mapping[str, ChannelPart] | None = None,
    terms: Sequence[TermPart] = (),
) -> Why:
    """Why one image was found.

    Args:
        view: the image.
        query: with its names resolved.
        named: ids of the tags the query's texts name.
        aliases: other names of the tags asked for, by tag id.
        channels: each channel's part of its score, if it has one.
        terms: each term's part.
    """
    asked = {*asked_tags(query.filter), *named}
    shown = matched_tags(view.tags, asked)
    own = {tag.name for tag in view.tags if tag.tag_id in asked}
    names = [*own, *(name for tag_id in asked for name in (aliases or {}).get(tag_id, ()))]
    texts = [term.text for term in query.terms if isinstance(term, TextTerm) and term.weight > 0]
    caption = matched_caption([caption.text for caption in view.captions], texts, names)
    return Why(dict(channels or {}), shown, caption, tuple(terms))


def of_filter(view: ImageView, query: Query) -> Why:
    """Why an image was found by its filter alone."""
    return of_hit(view, query)
