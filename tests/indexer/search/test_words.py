"""Words of queries and captions."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.search.words import content_words, stem, words


@pytest.mark.parametrize(
    "forms",
    [("dog", "Dogs", "dog's"), ("run", "runs", "running"), ("woman", "women"), ("child", "children")],
)
def test_forms_of_a_word_share_a_stem(forms: tuple[str, ...]) -> None:
    """So that a caption's form answers the query's."""
    assert len({stem(form) for form in forms}) == 1


def test_different_words_stay_different() -> None:
    """Stems join forms, not meanings."""
    assert len({stem(word) for word in ("dog", "cat", "run", "rung", "snow", "surfer")}) == 6


def test_words_that_join_others_are_told_apart() -> None:
    """They mean little, unless there is nothing else."""
    assert [word.stem for word in content_words("a dog in the snow")] == ["dog", "snow"]
    assert [word.stem for word in content_words("in the")] == ["in", "the"]
    assert content_words(" ,. ") == ()


def test_signs_are_words() -> None:
    """Chinese and Japanese are written without spaces: every sign counts as one."""
    assert [word.stem for word in words("雪中的狗 dog")] == ["雪", "中", "的", "狗", "dog"]


@settings(deadline=None)
@given(st.text(max_size=80))
def test_words_stand_where_they_say(text: str) -> None:
    """In order, none empty, none overlapping, whatever the text."""
    found = words(text)
    assert all(text[word.start : word.end].strip() for word in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
