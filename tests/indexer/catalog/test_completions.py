"""People's own values are found by how they begin."""

from collections.abc import Sequence

import pytest
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from indexer.catalog import collections, conditions
from indexer.catalog.completions import KEYS, Completion, Key, complete
from indexer.query import OneOf
from indexer.tables import Source
from tests.catalogue import add_indexed
from tests.plans import Plans


def _give(session: Session, image_id: int, skus: Sequence[str]) -> None:
    rows = [
        {"image_id": image_id, "kind": "url", "uri": f"https://shop/{image_id}/{sku}", "external_id": sku}
        for sku in skus
    ]
    session.execute(insert(Source), rows)


def test_skus_in_order_with_how_many_images_have_each(session: Session) -> None:
    """Whatever the case; an image with a SKU from two places is one; the others are not told."""
    mug, other = add_indexed(session), add_indexed(session)
    _give(session, mug, ["Mug-7", "mug-10", "Plate-1"])
    _give(session, other, ["Mug-7"])
    session.execute(insert(Source).values(image_id=mug, kind="upload", uri="again", external_id="Mug-7"))
    assert complete(session, "sku", "mUG", 10) == [Completion("mug-10", 1), Completion("Mug-7", 2)]
    assert complete(session, "sku", "mug", 1) == [Completion("mug-10", 1)]
    assert complete(session, "sku", "mug-7", 10) == [Completion("Mug-7", 2)]


def test_collections_with_how_many_images_are_in_each(session: Session) -> None:
    """Empty ones too: they exist."""
    summer = collections.create(session, "Summer 2024")
    collections.create(session, "summer sale")
    collections.create(session, "Winter")
    collections.add(session, summer, [add_indexed(session)])
    assert complete(session, "collection", "SUM", 10) == [
        Completion("Summer 2024", 1),
        Completion("summer sale", 0),
    ]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("prefix", ["%", "_", "\\", "a%", "';--", "ẞ", ""])
def test_what_is_typed_is_taken_by_its_letters(session: Session, key: Key, prefix: str) -> None:
    """No sign stands for others, and none is a command."""
    _give(session, add_indexed(session), ["abc"])
    collections.create(session, "abc")
    assert [one.value for one in complete(session, key, prefix, 5)] == ([] if prefix else ["abc"])


def test_skus_are_read_from_an_index(session: Session) -> None:
    """Among half a million a beginning is a range, and nothing past the first few is sorted."""
    many = text(
        "INSERT INTO sources (image_id, kind, uri, external_id)"
        " SELECT :id, 'url', 'https://shop/' || n, 'SKU-' || n FROM generate_series(1, 20000) AS n"
    )
    session.execute(many, {"id": add_indexed(session)})
    session.execute(text("ANALYZE sources"))
    with Plans(session) as plans:
        asked = complete(session, "sku", "sku-1999", 5)
    assert [one.value for one in asked] == [f"SKU-{n}" for n in (1999, 19990, 19991, 19992, 19993)]
    assert {step.index for step in plans.steps if step.table == "sources"} == {"ix_sources_sku"}
    with Plans(session) as plans:
        complete(session, "sku", "sku", 5)
    assert {step.index for step in plans.steps if step.table == "sources"} == {"ix_sources_sku"}
    assert "Sort" not in {step.kind for step in plans.steps}
    with Plans(session) as plans:
        assert conditions.ids(session, OneOf("sku", ("sku-1999", "Sku-2999"))).size == 1
    assert {step.index for step in plans.steps if step.index} == {"ix_sources_sku"}
    assert "Seq Scan" not in {step.kind for step in plans.steps}
