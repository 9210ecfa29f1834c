"""Titles by their words: "marine blue" stands in "Bag, Marine-Blue" and neither in "blue marine" nor in "marine blues".

A title is compared as its words in lower case, signs and spaces between them being one space; a pattern likewise, where
`*` is anything. Of writing without spaces (Chinese, Japanese, Thai) each character is a word. Postgres keeps an index
of the words; its functions `title_text` and `title_words` are made by a migration.
"""

import re

from sqlalchemy import ColumnElement, and_, cast, func, or_
from sqlalchemy.dialects.postgresql import TSQUERY

from indexer.tables import Image

# Spelt with escapes that Python and Postgres read alike: what a letter is, the two would not agree on.
UNSPACED = r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
BETWEEN = (
    r"[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb-\u00bf"
    r"\u2000-\u206f\u3000-\u3004\u3008-\u303f\uff01-\uff0f\uff1a-\uff20]+"
)
# Longer words are in the index by their beginnings.
LONGEST = 100
_PLAIN = re.compile(r"[^ *]+")


def matches(pattern: str, *, by_index: bool) -> ColumnElement[bool]:
    """Whether an image's title has the pattern's words next to one another; a pattern of signs alone, these signs.

    `by_index`: look for the words in the index first, rather than at each title that is asked about.
    """
    written = _written(pattern)
    if not written:
        return Image.title.icontains(pattern, autoescape=True)
    indexed = _indexed(written) if by_index else ""
    conditions: list[ColumnElement[bool]] = [Image.title.is_not(None)]
    if indexed:
        words = func.title_words(Image.title)
        conditions.append(words.bool_op("@@")(cast(func.lower(indexed), TSQUERY)))
    elif plain := max(_PLAIN.findall(written), key=len, default=""):
        # Far cheaper than taking the title apart, and enough to pass most of them over.
        conditions.append(func.lower(Image.title).contains(func.lower(plain)))
    if not (indexed and _is_one_word(written)):
        conditions.append(_reads(written))
    return and_(*conditions)


def _reads(written: str) -> ColumnElement[bool]:
    like = func.lower(f"% {written.replace('*', '%')} %")  # no other sign is left that LIKE knows
    taken_apart = func.title_text(Image.title).like(like)
    if "*" in written:
        return taken_apart
    # Most titles have single spaces as they stand, which is seen far sooner.
    as_it_stands = func.concat(" ", func.lower(Image.title), " ").like(like)
    return or_(as_it_stands, taken_apart)


def _written(pattern: str) -> str:
    """The pattern as `title_text` writes titles, but for case; no sign is left in it besides *."""
    spaced = re.sub(rf"(?<!\*)(?={UNSPACED})|(?<={UNSPACED})(?!\*)", " ", pattern)
    parts = (re.sub(BETWEEN, " ", part) for part in spaced.split("*"))
    return re.sub(" +", " ", "*".join(parts)).strip(" ")


def _indexed(written: str) -> str:
    """What titles that match have in the index, as a query of Postgres's; nothing if every word begins with a *."""
    found = []
    for word in written.split(" "):
        beginning = word.partition("*")[0][:LONGEST]
        if beginning:
            found.append(f"'{beginning}'" + ":*" * (beginning != word))
    return " & ".join(dict.fromkeys(found))


def _is_one_word(written: str) -> bool:
    """Whether the index says all there is to say: a word, or how one begins."""
    return len(written) <= LONGEST and _PLAIN.fullmatch(written.removesuffix("*")) is not None
