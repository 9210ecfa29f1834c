"""docs/query.md says what is so: its table is the table of keys, each of its examples runs."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from indexer.errors import QuerySyntaxError
from indexer.query import KEYS, Key, from_json, parse, to_text
from indexer.query.limits import MAX_CHARACTERS, MAX_DEPTH, MAX_LEAVES, MAX_TERMS

PAGE = (Path(__file__).parents[3] / "docs" / "query.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
QUERIES = [line for kind, block in BLOCKS if kind == "query" for line in block.splitlines()]
TWINS = [
    (before[1], block) for before, (kind, block) in pairwise(BLOCKS) if (before[0], kind) == ("query", "json")
]
ERRORS = [block.rstrip("\n").split("\n", 1) for kind, block in BLOCKS if kind == "error"]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_is_explained(key: Key) -> None:
    """With the words and examples of the one table."""
    examples = ", ".join(f"`{example}`" for example in key.examples)
    assert f"| `{key.name}:` | {key.help} | {examples} |\n" in PAGE


@pytest.mark.parametrize("text", QUERIES)
def test_every_query_reads(text: str) -> None:
    """And prints as one that means the same."""
    assert parse(to_text(parse(text))) == parse(text)


@pytest.mark.parametrize(("text", "data"), TWINS)
def test_both_spellings_mean_the_same(text: str, data: str) -> None:
    """Where JSON follows a query."""
    assert from_json(json.loads(data)) == parse(text)


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_errors_read_as_shown(text: str, message: str) -> None:
    """Word for word."""
    with pytest.raises(QuerySyntaxError) as raised:
        parse(text)
    assert str(raised.value) == message


def test_the_page_has_examples_of_everything() -> None:
    """None of the tests above runs on nothing; the limits are those enforced."""
    assert len(QUERIES) > 25
    assert len(TWINS) >= 6
    assert len(ERRORS) >= 10
    stated = (
        f"{MAX_CHARACTERS:,} characters",
        f"{MAX_LEAVES} conditions",
        f"{MAX_DEPTH} groups",
        f"{MAX_TERMS} terms",
    )
    assert all(limit in PAGE for limit in stated)
