"""What a row changes, in words that fit a line."""

import pytest

from indexer.outcomes import Change, Outcome

LONG = "a red dress on a wooden hanger in front of a white wall, "


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (Change("title", None, "Red\n dress"), 'title "Red dress"'),
        (Change("alt_text", "a  dress", "a red dress"), 'alt text "a dress" -> "a red dress"'),
        (
            Change("title", "x" * 70, "Coat"),
            f'title "{"x" * 60}…" -> "Coat"',
        ),
        (
            Change("alt_text", LONG * 3 + "size S", LONG * 3 + "size M"),
            'alt text "… a white wall, size S" -> "… a white wall, size M"',
        ),
    ],
)
def test_old_and_new(change: Change, told: str) -> None:
    """Shortened where they are long, and always so that the difference is seen."""
    assert change.told() == told


def test_a_remark_is_of_peoples_words_alone() -> None:
    """A machine's caption may be replaced without a word; after a note of its own."""
    machine, person = (
        Change("alt_text", "a dress", "a red dress"),
        Change("title", "Old", "New", by_person=True),
    )
    assert Outcome(2, "sku:A", "changed", changes=(machine,)).remark is None
    assert Outcome(2, "sku:A", "changed", note="Hm.", changes=(machine, person)).remark == (
        'Hm. It takes back a person\'s word: title "Old" -> "New".'
    )
