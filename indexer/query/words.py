r"""Characters into words, phrases and values: where each begins and ends, and what escapes make of it.

A backslash before punctuation or a space takes its meaning away; before a letter or digit it is itself, so that
`C:\photos` can be typed. Quotes mean something at the beginning of a word only: 12" stays as it is.
"""

import re
import string
from dataclasses import dataclass

from indexer.errors import QuerySyntaxError
from indexer.query.conditions import Piece
from indexer.query.numbers import MAX_WEIGHT

# Keyboards and phones replace quotes; what is opened by one kind is closed by that kind.
QUOTES = {'"': '"', "“": "”“", "„": "“”", "”": "”", "«": "»"}
_ESCAPABLE = set(string.punctuation) | {" "}
_WEIGHT = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True)
class Word:
    """Characters without a space between them; `plain[i]` tells whether `text[i]` may mean something."""

    text: str
    plain: tuple[bool, ...]
    start: int
    end: int

    def find(self, character: str) -> int:
        """Where this character first stands unescaped; -1 if nowhere."""
        return next((i for i, c in enumerate(self.text) if c == character and self.plain[i]), -1)

    @property
    def literal(self) -> bool:
        """Whether anything in it was escaped."""
        return not all(self.plain)


class Scanner:
    """Reads a query's text from left to right; `at` is the next character, `depth` the groups now open."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def error(
        self, message: str, start: int, end: int | None = None, suggestions: tuple[str, ...] = ()
    ) -> QuerySyntaxError:
        """A slip at these characters; by default up to where reading has come."""
        end = max(self.at if end is None else end, start)
        return QuerySyntaxError(message, self.text, start, end - start, suggestions)

    @property
    def next(self) -> str:
        """The next character, nothing at the end."""
        return self.text[self.at : self.at + 1]

    def skip_spaces(self) -> None:
        """To the next character that is not white space."""
        while self.next.isspace():
            self.at += 1

    def word(self, stop: str = "", *, value: bool = False) -> Word:
        """Up to a space, a `|`, a `)` that closes a group, or one of `stop`.

        Parentheses opened inside a word belong to it: `f(x)`. A `)` no group is open for belongs to a word, but
        not to a key's value.
        """
        start, characters, plain, open_here = self.at, [], [], 0
        while (character := self.next) and not character.isspace() and character not in "|" + stop:
            if character == "\\" and self.text[self.at + 1 : self.at + 2] in _ESCAPABLE:
                characters.append(self.text[self.at + 1])
                plain.append(False)
                self.at += 2
                continue
            if character == ")" and not open_here and (self.depth or value):
                break
            open_here += (character == "(") - (character == ")" and open_here > 0)
            characters.append(character)
            plain.append(True)
            self.at += 1
        return Word("".join(characters), tuple(plain), start, self.at)

    def phrase(self) -> Piece:
        """What stands between the quote here and the one that closes it."""
        start, closing = self.at, QUOTES[self.next]
        characters: list[str] = []
        self.at += 1
        while (character := self.next) and character not in closing:
            if character == "\\" and self.text[self.at + 1 : self.at + 2] in _ESCAPABLE:
                self.at += 1
                character = self.next
            characters.append(character)
            self.at += 1
        if not character:
            raise self.error(
                'The quote opened here is never closed: add one, or write \\" for the mark itself',
                start,
                start + 1,
            )
        self.at += 1
        return Piece("".join(characters), True, (start, self.at))

    def pieces(self, *, commas: bool, stop: str = "") -> list[Piece]:
        """A key's value: words and phrases with commas between, or one of them if `commas` mean nothing."""
        pieces = [self._piece(("," if commas else "") + stop)]
        while commas and self.next == ",":
            self.at += 1
            pieces.append(self._piece("," + stop))
        return pieces

    def _piece(self, stop: str) -> Piece:
        if self.next not in QUOTES:
            word = self.word(stop, value=True)
            return Piece(word.text, word.literal, (word.start, word.end))
        piece = self.phrase()
        if self.next and not self.next.isspace() and self.next not in ")|" + stop:
            raise self.error("A space is missing after the closing quote", self.at, self.at + 1)
        return piece

    def weight(self) -> float | None:
        """The number after a `^` here, None if there is no `^`."""
        if self.next != "^":
            return None
        start = self.at
        self.at += 1
        word = self.word(value=True)
        value = float(word.text) if _WEIGHT.fullmatch(word.text) else 0.0
        if not 0 < abs(value) <= MAX_WEIGHT:
            raise self.error(
                f"After ^ stands a weight, not zero and at most {MAX_WEIGHT:,}, as in ^0.5; "
                "a ^ of the text goes in quotes",
                start,
            )
        return value
