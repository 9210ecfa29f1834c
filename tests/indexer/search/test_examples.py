"""Pictures as tokens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import QueryError
from indexer.search import examples

VERSION = "0a64b4e424a9+bf16"


def _unit(seed: int, dimension: int = 64) -> np.ndarray:
    row = np.random.default_rng(seed).normal(size=dimension)
    return np.asarray(row / np.linalg.norm(row), np.float32)


@given(st.integers(0, 2**32), st.integers(1, 1024))
def test_token_carries_the_embedding(seed: int, dimension: int) -> None:
    """What comes out is what went in, within float16, of unit length."""
    embedding = _unit(seed, dimension)
    found = examples.decode(examples.encode(embedding, VERSION), VERSION, dimension)
    assert found @ embedding > 0.99999
    assert np.linalg.norm(found) == pytest.approx(1.0, abs=1e-6)


@given(st.integers(3, 200), st.characters(codec="ascii", categories=["L", "N"]))
def test_any_changed_character_is_noticed(position: int, other: str) -> None:
    """A token with one character changed is refused, or still means the same."""
    token = examples.encode(_unit(1), VERSION)
    position = min(position, len(token) - 1)
    changed = token[:position] + other + token[position + 1 :]
    same = examples.decode(token, VERSION, 64)
    try:
        found = examples.decode(changed, VERSION, 64)
    except QueryError:
        return
    assert np.array_equal(found, same)


@given(st.text(max_size=60))
def test_nothing_else_is_a_token(text: str) -> None:
    """Arbitrary text is refused with words, never with another error."""
    for given_text in (text, examples.PREFIX + text):
        with pytest.raises(QueryError):
            examples.decode(given_text, VERSION, 64)


def test_cut_token_is_damaged() -> None:
    """Half a token, as a mail program breaks it, says that it is to be copied whole."""
    token = examples.encode(_unit(2), VERSION)
    with pytest.raises(QueryError, match="copy it whole"):
        examples.decode(token[: len(token) // 2], VERSION, 64)


def test_other_embedder_is_named() -> None:
    """A token of another embedder names both and the remedy."""
    with pytest.raises(QueryError, match=r"another embedder \('old', here is .*upload the picture again"):
        examples.decode(examples.encode(_unit(3), "old"), VERSION, 64)


def test_other_length_is_damaged() -> None:
    """The right embedder with another number of dimensions cannot be."""
    with pytest.raises(QueryError, match="128 bytes of embedding, not 64"):
        examples.decode(examples.encode(_unit(4), VERSION), VERSION, 32)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_embedding_without_length(value: float) -> None:
    """Zeros and what is no number are refused, not divided by."""
    with pytest.raises(QueryError, match="no length"):
        examples.decode(examples.encode(np.full(8, value), VERSION), VERSION, 8)
