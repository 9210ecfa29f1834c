"""A search's answer -> what goes over the wire."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from indexer import query as language
from indexer.search import Count, Hit, SearchResult
from indexer.search.reasons import MatchedTag
from indexer.search.result import Explanation, Missing
from search_api import schemas, views


def result(
    found: SearchResult, fields: list[str] | None = None, missing: Sequence[Missing] = ()
) -> schemas.SearchOut:
    """A page of hits; of each only `fields`, if given. `missing` parts are told unless the search itself did."""
    degraded = {part.part: part.detail for part in (*missing, *found.degraded)}
    tree = language.to_json(found.query)
    return schemas.SearchOut(
        query=language.to_text(found.query),
        filter=tree.get("filter"),
        terms=tree.get("terms", []),
        hits=[_chosen(hit(item), fields) for item in found.hits],
        total=total(found.total),
        hidden_below_cutoff=hidden(found.hidden),
        cutoff=found.cutoff if found.cutoff is not None and math.isfinite(found.cutoff) else None,
        facets={
            name: [schemas.FacetOut.model_validate(asdict(item)) for item in values]
            for name, values in found.facets.items()
        },
        next_cursor=found.next_cursor,
        took_ms=round(found.took_ms, 2),
        degraded=[schemas.MissingOut(part=part, detail=detail) for part, detail in degraded.items()],
        explain=found.explanation and explanation(found.explanation),
    )


def total(count: Count) -> schemas.Total:
    """A number of images, and whether it is exact."""
    return schemas.Total(value=count.value, relation="eq" if count.exact else "gte")


def hidden(count: Count) -> schemas.Total:
    """How many do not stand out: at most so many where it is not known how many do."""
    return schemas.Total(value=count.value, relation="eq" if count.exact else "lte")


def explanation(told: Explanation) -> schemas.ExplainOut:
    """How the answer was come by."""
    return schemas.ExplainOut(
        plan=told.plan,
        estimates_ms=dict(told.estimates_ms),
        stages_ms=dict(told.stages_ms),
        background={name: dict(values) for name, values in told.background.items()},
        detail=dict(told.detail),
    )


def _chosen(whole: schemas.HitOut, fields: list[str] | None) -> schemas.HitOut | schemas.PartialHit:
    if fields is None:
        return whole
    values = whole.model_dump(mode="json")
    chosen: dict[str, Any] = {}
    for path in fields:
        _copy(values, chosen, path.split("."))
    return schemas.PartialHit(**chosen)


def _copy(source: dict[str, Any], target: dict[str, Any], path: list[str]) -> None:
    """Copy one dotted path; what is not there is passed over."""
    name, *rest = path
    if name not in source:
        return
    if not rest:
        target[name] = source[name]
    elif isinstance(source[name], dict):
        _copy(source[name], target.setdefault(name, {}), rest)


def hit(found: Hit) -> schemas.HitOut:
    """One hit and why it is one."""
    why = found.why
    return schemas.HitOut(
        id=found.image.id,
        score=found.score,
        channels={
            name: schemas.ChannelOut(cosine=part.cosine, standing=part.standing, part=part.part)
            for name, part in why.channels.items()
        },
        why=schemas.WhyOut(
            tags=[_matched_tag(tag) for tag in why.tags],
            caption=why.caption
            and schemas.MatchedCaptionOut(text=why.caption.text, spans=list(why.caption.spans)),
            terms=[schemas.MatchedTermOut(term=item.term, part=item.part) for item in why.terms],
        ),
        image=views.summary(found.image),
    )


def _matched_tag(tag: MatchedTag) -> schemas.MatchedTagOut:
    source = views.stated_by(tag)
    return schemas.MatchedTagOut(
        name=tag.name, confidence=tag.confidence, threshold=tag.threshold, source=source
    )
