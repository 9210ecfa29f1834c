"""Text in cells of a CSV file, so that no spreadsheet runs it, and back.

A spreadsheet takes a cell for a formula that begins with `=`, `+`, `-` or `@`, also behind spaces, tabs and quotes.
What is a cell is up to the reader: set to semicolons it cuts a comma file elsewhere. So a quote (') is put before
whatever may begin a formula, at the start and after every `;`, tab and line break, also before quotes that stand there
already: `plain(guarded(text)) == text`, whatever the text is.
"""

import re

# Two marks of full width besides: Excel in Japanese takes them for the narrow ones.
_START = r"(?:^|(?<=[;\t\r\n]))"
_FORMULA = r"(?:['\"\s]*[=+\-@＝＋－＠]|'*[\t\r])"
_UNGUARDED = re.compile(f"{_START}(?={_FORMULA})")
_GUARDED = re.compile(f"{_START}'(?={_FORMULA})")


def guarded(text: str) -> str:
    """`text` with a quote before whatever a spreadsheet would run."""
    return _UNGUARDED.sub("'", text)


def plain(cell: str) -> str:
    """The text that `guarded` made a cell of; any other cell as it is."""
    return _GUARDED.sub("", cell)
