"""A query in pieces."""

from hypothesis import given, settings

from indexer.query import Query, chips, parse, to_text
from tests.indexer.query.trees import queries


@settings(max_examples=300, deadline=None)
@given(queries)
def test_pieces_make_the_whole(query: Query) -> None:
    """Each piece stands where it says, a space apart from the next, and nothing is left over."""
    text, found = to_text(query), chips(query)
    assert [text[slice(*chip.span)] for chip in found] == [chip.text for chip in found]
    assert " ".join(chip.text for chip in found) == text


def test_what_each_piece_is_about() -> None:
    """Words, examples, tags, groups, keys and the order are told apart, and what is negated."""
    query = parse(
        "a dog -text:pattern like:17^2 tag:beach -(tag:a or tag:b) -has:sku -rejected:c taken:2024 order:size"
    )
    assert [(chip.kind, chip.negated) for chip in chips(query)] == [
        ("text", False),
        ("text", True),
        ("like", False),
        ("tag", False),
        ("group", True),
        ("has", True),
        ("rejected", True),
        ("taken", False),
        ("order", False),
    ]
