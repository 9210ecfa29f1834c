"""The truth about a small catalogue: every row read plainly, every condition tried on every image."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from indexer.postings import FacetValue
from indexer.query import All as AllOf
from indexer.query import Any as AnyOf
from indexer.query import Between, Has, Leaf, Node, Not, OneOf, Order, Rejected, TagIs
from indexer.tables import Annotator, Caption, Collection, CollectionImage, Image, ImageTag, Tag

SAYING = {"person": "human", "file": "file", "tagger": "model", "captioner": "model"}


@dataclass
class Facts:
    """One image and everything said of it. `tags`: name -> who -> confidence; None where rejected."""

    id: int
    state: str
    taken: datetime | None
    format: str | None
    size: int
    title: str | None
    tags: dict[str, dict[str, float | None]] = field(default_factory=lambda: defaultdict(dict))
    captioned_by: set[str] = field(default_factory=set)
    collections: set[str] = field(default_factory=set)

    def shown(self) -> dict[str, dict[str, float]]:
        """Tags asserted by somebody and rejected by nobody."""
        return {name: by for name, by in self.tags.items() if None not in by.values()}  # type: ignore[misc]

    def sources(self) -> set[str]:
        """Who says something of the image."""
        stating = {who for by in self.tags.values() for who, said in by.items() if said is not None}
        return stating | self.captioned_by


def read(session: Session) -> list[Facts]:
    """Every image of the catalogue."""
    rows = session.execute(
        select(Image.id, Image.state, Image.taken_at, Image.format, Image.bytes, Image.title)
    )
    facts = {row.id: Facts(*row) for row in rows}
    said = select(ImageTag.image_id, Tag.name, Annotator.kind, ImageTag.confidence, ImageTag.rejected)
    for image_id, name, kind, confidence, rejected in session.execute(said.join(Tag).join(Annotator)):
        facts[image_id].tags[name][SAYING[kind]] = None if rejected else confidence
    for image_id, kind in session.execute(select(Caption.image_id, Annotator.kind).join(Annotator)):
        facts[image_id].captioned_by.add(SAYING[kind])
    for image_id, name in session.execute(select(CollectionImage.image_id, Collection.name).join(Collection)):
        facts[image_id].collections.add(name)
    return list(facts.values())


def meets(image: Facts, node: Node) -> bool:
    """Whether an image meets a filter."""
    if isinstance(node, AllOf):
        return all(meets(image, part) for part in node.parts)
    if isinstance(node, AnyOf):
        return any(meets(image, part) for part in node.parts)
    return not meets(image, node.part) if isinstance(node, Not) else _meets_leaf(image, node)


def _meets_leaf(image: Facts, leaf: Leaf) -> bool:
    if isinstance(leaf, TagIs):
        least, most = leaf.min_confidence or 0, 1 if leaf.max_confidence is None else leaf.max_confidence
        said = [value for who, value in image.shown().get(leaf.name, {}).items() if leaf.by in (None, who)]
        return bool(said) and least <= max(said) <= most
    if isinstance(leaf, Rejected):
        return None in image.tags.get(leaf.name, {}).values()
    if isinstance(leaf, Between):
        value: Any = {"taken": image.taken, "size": image.size, "id": image.id}[leaf.key]
        low: Any = leaf.low
        high: Any = leaf.high
        return (
            value is not None
            and (low is None or value > low or (value == low and not leaf.low_open))
            and (high is None or value < high or (value == high and not leaf.high_open))
        )
    if isinstance(leaf, OneOf) and leaf.key == "title":
        return any(_says(image.title or "", value) for value in leaf.values)
    if isinstance(leaf, OneOf):
        return bool(values(image, leaf.key) & set(leaf.values))
    assert isinstance(leaf, Has)
    return bool({"collection": image.collections, "caption": image.captioned_by}[leaf.key])


def _says(title: str, phrase: str) -> bool:
    """Whether the words stand in the title next to one another."""
    had, wanted = (re.findall(r"\w+", written.lower()) for written in (title, phrase))
    return any(had[n : n + len(wanted)] == wanted for n in range(len(had)))


def values(image: Facts, field_: str) -> set[str]:
    """An image's values of a field of facets."""
    return {
        "tag": set(image.shown()),
        "year": {str(image.taken.year)} if image.taken else set(),
        "format": {image.format} if image.format else set(),
        "source": image.sources(),
        "collection": image.collections,
    }[field_]


def matching(images: Iterable[Facts], node: Node) -> set[int]:
    """Ids of the searchable images that meet a filter."""
    return {image.id for image in images if image.state == "indexed" and meets(image, node)}


def facet(
    images: Iterable[Facts], parts: list[Node], among: set[int] | None, field_: str, limit: int
) -> list[FacetValue]:
    """The facet of a filter whose conditions `parts` must all hold, each a leaf or its opposite."""
    searchable = [
        image for image in images if image.state == "indexed" and (among is None or image.id in among)
    ]
    selected: dict[str, str] = {}
    for part in parts:
        for value in _asked(part, field_):
            how = "exclude" if isinstance(part, Not) or selected.get(value) == "exclude" else "include"
            selected[value] = how
    known = {value for image in searchable for value in values(image, field_)} | set(selected)
    counted = {value: _counts(searchable, parts, field_, value, value in selected) for value in known}
    rows = [FacetValue(value, *counted[value], how) for value, how in selected.items()]  # type: ignore[arg-type]
    free = [FacetValue(value, *counted[value]) for value in known - set(selected) if counted[value][0]]
    return sorted(rows + sorted(free, key=_rank)[:limit], key=_rank)


def _counts(images: list[Facts], parts: list[Node], field_: str, value: str, chosen: bool) -> tuple[int, int]:
    """How many images a value leaves once it is asked for, and once it is excluded."""
    own = [p for p in parts if (value in _asked(p, field_) if field_ == "tag" else _asked(p, field_))]
    replaced = [p for p in own if chosen or not isinstance(p, Not)]
    asked = [image for image in images if all(meets(image, p) for p in parts if p not in replaced)]
    left = asked if chosen else [image for image in images if all(meets(image, p) for p in parts)]
    return (
        sum(value in values(image, field_) for image in asked),
        sum(value not in values(image, field_) for image in left),
    )


def in_order(images: Iterable[Facts], order: Order) -> list[int]:
    """Ids sorted, those without a date last."""
    dated = [image for image in images if order.key != "taken" or image.taken]
    undated = [image for image in images if order.key == "taken" and not image.taken]
    key = {"added": lambda i: i.id, "taken": lambda i: (i.taken, i.id), "size": lambda i: (i.size, i.id)}[
        order.key
    ]
    last = sorted(undated, key=lambda image: image.id, reverse=order.descending)
    return [image.id for image in (*sorted(dated, key=key, reverse=order.descending), *last)]


def confidences(images: Iterable[Facts], name: str) -> dict[int, float]:
    """How surely searchable images show a tag."""
    return {
        image.id: max(image.shown()[name].values())
        for image in images
        if image.state == "indexed" and name in image.shown()
    }


def _rank(value: FacetValue) -> tuple[int, str]:
    return -value.count, value.value


def _asked(part: Node, field_: str) -> list[str]:
    """The values of a field that a condition is about."""
    leaf = part.part if isinstance(part, Not) else part
    if isinstance(leaf, TagIs):
        return [leaf.name] if field_ == "tag" else []
    if isinstance(leaf, OneOf):
        return list(leaf.values) if leaf.key == field_ else []
    if isinstance(leaf, Between) and leaf.key == "taken" and field_ == "year":
        assert isinstance(leaf.low, datetime)
        return [str(leaf.low.year)]
    return []
