"""What it is worth that an image shows a tag the query names."""

import numpy as np
import pytest

from indexer.catalog.names import NamedTag
from indexer.search.evidence import SHOWN, SURE, shares, tag_part


def named(text: str, *names: str) -> list[NamedTag]:
    """Tags standing in the text under these names, numbered from 1."""
    starts = [text.index(name) for name in names]
    return [
        NamedTag(n, name, start, start + len(name))
        for n, (name, start) in enumerate(zip(names, starts, strict=True), 1)
    ]


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("dog", ["dog"], [1.0]),
        ("a dog", ["dog"], [1.0]),
        ("traffic light", ["traffic light"], [1.0]),
        ("black dog", ["black", "dog"], [0.25, 0.25]),
        ("a dog in the snow by a red house", ["dog", "snow"], [1 / 16, 1 / 16]),
        ("狗", ["狗"], [1.0]),
    ],
)
def test_a_tag_counts_by_how_much_of_the_text_it_names(
    text: str, names: list[str], expected: list[float]
) -> None:
    """All of it when it is all that is asked; the words that join others do not count."""
    assert list(shares(text, named(text, *names)).values()) == pytest.approx(expected)


def test_a_tag_named_twice_counts_once() -> None:
    """The larger share of the two is its share."""
    text = "dog dog house"
    tags = [NamedTag(1, "dog", 0, 3), NamedTag(1, "dog", 4, 7)]
    assert shares(text, tags) == {1: pytest.approx(1 / 9)}
    assert shares("", []) == {}


def test_surer_is_more() -> None:
    """Being shown counts, and confidence on top of it."""
    parts = tag_part(0.25, np.array([0.0, 0.5, 1.0]))
    assert parts.tolist() == pytest.approx([SHOWN / 4, (SHOWN + SURE / 2) / 4, (SHOWN + SURE) / 4])
