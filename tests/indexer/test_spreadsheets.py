"""Cells that no spreadsheet runs, however it cuts the file, and the text they were."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import spreadsheets

RUN = tuple("=+-@＝＋－＠")
# Mostly what is dangerous: everything else is passed over.
TEXTS = st.text("'\"; \t\r\n=-+@a,＝", max_size=14) | st.text()


@given(TEXTS)
def test_the_text_comes_back(text: str) -> None:
    """Whatever it is, quotes of its own included."""
    assert spreadsheets.plain(spreadsheets.guarded(text)) == text


@given(TEXTS)
def test_no_piece_is_run(text: str) -> None:
    """However a spreadsheet cuts it, no piece begins a formula behind what spreadsheets pass over."""
    for piece in re.split(r"[;\t\r\n]", spreadsheets.guarded(text)):
        assert not piece.lstrip(' "').startswith(RUN)


@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_a_file_read_with_another_separator(texts: list[str]) -> None:
    """A comma file opened where semicolons or tabs separate has no formula in any of its cells either."""
    out = io.StringIO(newline="")
    csv.writer(out).writerow(["1", *map(spreadsheets.guarded, texts)])
    for separator in ";\t":
        for row in csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=separator):
            assert not any(cell.lstrip(' "').startswith(RUN) for cell in row)


@pytest.mark.parametrize("text", ["a dog, -5 degrees", "it's", "'twas", "a-b", "1 + 1", "snow; sea", ""])
def test_ordinary_text_is_left_alone(text: str) -> None:
    """No quote where none is needed."""
    assert spreadsheets.guarded(text) == text == spreadsheets.plain(text)
