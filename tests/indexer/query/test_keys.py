"""Each key's documented examples find what they should in a real small catalogue."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from indexer.catalog import annotations, collections, conditions, corrections, edits, images, names
from indexer.query import (
    KEYS,
    All,
    Any,
    ExampleTerm,
    ImageTerm,
    Key,
    Node,
    Not,
    Order,
    Query,
    TextTerm,
    parse,
    to_text,
)
from indexer.query.keys import BY_NAME, nearest_keys
from indexer.tables import Image
from tests import catalogue

# Three images that were indexed, 1 to 3, and one of which only the bytes are known.
EXPECTED: dict[str, set[int] | Query] = {
    "tag:dog": {1, 2, 3},
    'tag:"traffic light"': {1},
    "tag:dog,>=0.8": {1, 3},
    "tag:dog,cat": {1, 2, 3},
    "tag:dog,human": {3},
    "dog:>90%": {1, 3},
    "rejected:dog": {4},
    'rejected:"traffic light"': {2},
    "rejected:dog,cat": {1, 4},
    "source:human": {3},
    "source:model,file": {1, 2, 3},
    "taken:2024": {1},
    "taken:2024..2025": {1, 2},
    "taken:2024-05-17": {1},
    "taken:<2010-06": {3},
    "taken:>=2024-05-17T18:30": {1, 2},
    "added:7d": {1},
    "added:today": {1},
    "added:yesterday..": {1},
    "added:..30d": {3, 4},
    "added:>=2024-05": {1, 2, 3},
    "width:>2000": {2},
    "width:640": {1},
    "width:1000..2000": {3},
    "height:<=480": {1},
    "height:>480..<1080": {3},
    "ratio:16:9": {2},
    "ratio:>1.5": {2},
    "ratio:landscape": {1, 2},
    "ratio:portrait": set(),
    "ratio:square": {3},
    "size:>2MB": {2},
    "size:100KB..1MB": {1},
    "size:<=1.5MiB": {1, 3, 4},
    "tagcount:0": {4},
    "tagcount:>=10": {2},
    "id:1": {1},
    "id:1..50": {1, 2, 3, 4},
    "id:1,3": {1, 3},
    "format:jpeg": {1, 3},
    "format:png,webp": {2},
    "sku:A-1001": {1},
    "sku:A-1001,B-2002": {1, 2},
    "title:newfeel": {1},
    'title:"marine blue bag"': {1},
    "title:new*,kalenji": {1, 2},
    "-title:*feel": {2, 3, 4},
    "collection:holiday": {1},
    'collection:"Summer 2024"': {2},
    "path:holiday": {1},
    'path:"my photos"': {2},
    "path:2024/*.png": {2},
    "path:img_000?.jpg": {1},
    "origin:upload": {3},
    "origin:path,url": {1, 2, 4},
    "has:caption": {1, 2, 3},
    "-has:alt_text": {1, 2, 4},
    "has:title,description": {1, 2},
    'text:"in red"^0.5': Query((TextTerm("in red", 0.5),)),
    "-text:pattern": Query((TextTerm("pattern", -1.0),)),
    "like:1": Query((ImageTerm(1),)),
    "like:1^2": Query((ImageTerm(1, 2.0),)),
    "-like:1^0.5": Query((ImageTerm(1, -0.5),)),
    "like:e1.AAAA": Query((ExampleTerm("e1.AAAA"),)),
    "order:taken": Query(order=Order("taken")),
    "order:taken_asc": Query(order=Order("taken", descending=False)),
    "order:-size": Query(order=Order("size", descending=False)),
    "order:added": Query(order=Order("added")),
}


@pytest.fixture
def library(session: Session) -> Session:
    """The four images."""
    by = catalogue.annotators(session)
    files = [
        catalogue.new_file(uri="file:///me/holiday/IMG_0001.jpg", bytes=200_000, external_id="A-1001"),
        catalogue.new_file(uri="file:///srv/my%20photos/2024/b.png", bytes=3_000_000, external_id="B-2002"),
        catalogue.new_file(kind="upload", uri="upload:00ff/c.jpg", bytes=1_000),
        catalogue.new_file(kind="url", uri="https://example.org/d", bytes=5_000),
    ]
    ids = [images.register(session, [file])[0].image_id for file in files]
    assert ids == [1, 2, 3, 4]
    facts: list[tuple[dict[str, float], dict[str, object]]] = [
        (
            {"dog": 0.95, "traffic light": 0.6},
            {"taken_at": datetime(2024, 5, 17, 19), "title": "Newfeel, marine-blue bag"},
        ),
        (
            {"dog": 0.5, "cat": 0.7, **{f"thing {n}": 0.5 for n in range(8)}},
            {
                "taken_at": datetime(2025, 1, 1),
                "description": "d",
                "title": "Kalenji socks",
                "format": "png",
                "width": 2400,
                "height": 1350,
            },
        ),
        ({}, {"taken_at": datetime(2009, 1, 1), "width": 1000, "height": 1000}),
    ]
    for image_id, (tags, changes) in zip(ids, facts, strict=False):
        annotations.save(session, [catalogue.annotation(image_id, tags, **changes)], by)
    edits.make(session, [3], edits.Wish(add=["dog"]))
    for image_id, name in ((1, "cat"), (2, "traffic light"), (4, "dog")):
        edits.make(session, [image_id], edits.Wish(reject=[name]))
    corrections.write_caption(session, 3, "a dog, by hand", by.embedder, catalogue.embedding(1))
    for image_id, name in ((1, "holiday"), (2, "Summer 2024")):
        collections.add(session, collections.create(session, name), [image_id])
    now = datetime.now(UTC)
    added = {2: now - timedelta(days=20), 3: now - timedelta(days=40), 4: datetime(2020, 1, 1, tzinfo=UTC)}
    for image_id, moment in added.items():
        session.execute(update(Image).where(Image.id == image_id).values(added_at=moment))
    return session


def matching(session: Session, node: Node) -> set[int]:
    """Ids of the four images that pass a filter."""
    if isinstance(node, Not):
        return {1, 2, 3, 4} - matching(session, node.part)
    if isinstance(node, All):
        return {1, 2, 3, 4}.intersection(*(matching(session, part) for part in node.parts))
    if isinstance(node, Any):
        return set().union(*(matching(session, part) for part in node.parts))
    return set(conditions.ids(session, node).tolist())


def test_every_example_finds_what_it_should(library: Session) -> None:
    """All examples of all keys, and nothing else, stand in EXPECTED."""
    examples = [example for key in KEYS for example in key.examples]
    assert sorted(examples) == sorted(EXPECTED)
    for example, expected in EXPECTED.items():
        query = names.resolve(library, parse(example))
        if isinstance(expected, Query):
            assert query == expected, example
        else:
            assert matching(library, query.filter) == expected, example


def test_groups_and_negation_find_what_they_should(library: Session) -> None:
    """Conditions joined in every way."""
    for written, expected in {
        "tag:dog -tag:cat": {1, 3},
        "tag:dog (format:png or ratio:square)": {2, 3},
        "tag:cat or source:human": {2, 3},
        "-(tag:cat or source:human)": {1, 4},
        "tag:dog and taken:2024 or tagcount:0": {1, 4},
        "tag:dog taken:2024 or taken:2025": {1, 2},
        "-*": set(),
        "*": {1, 2, 3, 4},
    }.items():
        query = names.resolve(library, parse(written))
        assert matching(library, query.filter) == expected, written
        assert matching(library, names.resolve(library, parse(to_text(query))).filter) == expected, written


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_example_is_about_its_key(key: Key) -> None:
    """It says the key, or is the short form for a tag."""
    for example in key.examples:
        assert example.lstrip("-").startswith(f"{key.name}:") or key.name == "tag"


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_other_words_for_a_key_lead_to_it(key: Key) -> None:
    """Whoever writes `date:` is told of `taken:`; no such word is a key itself."""
    for word in key.also:
        assert nearest_keys(word)[0] == key.name
    assert not set(key.also) & set(BY_NAME)
