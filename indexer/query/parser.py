"""The query box's text -> Query, by recursive descent.

    query    = chain*                               a space between: all of them
    chain    = operand ((or | "|" | and) operand)*  `and` binds tighter than `or`, `or` tighter than a space
    operand  = "-"? (group | condition | phrase | word)
    group    = "(" chain* ")"
    condition = key ":" piece ("," piece)* ("^" weight)?

Words and phrases that stand alone are text to rank by; in a group, beside `or` and after `-` they are tags.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from indexer.errors import QuerySyntaxError
from indexer.query.conditions import (
    Piece,
    PieceSlip,
    read_filter,
    read_like,
    read_order,
    states_confidence,
    tag_name,
    with_statements,
)
from indexer.query.extent import Slip
from indexer.query.keys import BY_NAME, Key, nearest_keys
from indexer.query.limits import MAX_DEPTH, MAX_LENGTH, check_characters, check_size
from indexer.query.tree import (
    EVERYTHING,
    All,
    Any,
    Node,
    Not,
    Order,
    Query,
    Span,
    TagIs,
    Term,
    TextTerm,
    normal,
)
from indexer.query.words import QUOTES, Scanner, Word

_OPERATOR = re.compile(r"(or|and)(?=[\s()|\"]|$)|\|+", re.IGNORECASE)
_EXCLUDED = re.compile(r"-(?=[(\"“„«]|\*(?:[\s)]|$)|(?!-)[^\s()|]*[^\s()|\d!-/:-@\[-`{-~])")
# People write it elsewhere: always in capitals, else right before a condition or a group.
_NOT = re.compile(rf"NOT\s+(?=[^\s)|])|not\s+(?=\(|-?(?:{'|'.join(map(re.escape, BY_NAME))}):)", re.ASCII)
_WEIGHTED = re.compile(r"(.*[^\W\d_].*)\^[+-]?\d*\.?\d+", re.DOTALL)
_LETTER = re.compile(r"[^\W\d_]")
_LIKE_A_CONFIDENCE = re.compile(r"=?(0|1|0?\.\d+|1\.0+|\d{1,3}%)")
T = TypeVar("T")


@dataclass(frozen=True)
class Bare:
    """A word or phrase of which its neighbours decide whether it is text or a tag."""

    text: str
    span: Span
    phrase: bool = False

    @property
    def everything(self) -> bool:
        """Whether it is the star that stands for every image."""
        return self.text == "*" and not self.phrase


@dataclass(frozen=True)
class Ranked:
    """Terms to rank by, which only the whole query can have."""

    terms: tuple[Term, ...]
    span: Span


@dataclass(frozen=True)
class Sorted:
    """An order, which only the whole query can have."""

    order: Order
    span: Span


@dataclass(frozen=True)
class Operator:
    """A written `or` or `and`; an `and` between two words of text is a word too."""

    text: str
    span: Span

    @property
    def is_and(self) -> bool:
        """Whether both sides are asked for."""
        return self.text.casefold() == "and"


Operand = Bare | Ranked | Sorted | Operator | Node


def parse(text: str) -> Query:
    """Read a query.

    Raises:
        QuerySyntaxError: where it cannot be read, why, and what to write instead.
    """
    check_characters(text)
    if len(text) > MAX_LENGTH:
        raise QuerySyntaxError(f"The query has {len(text):,} characters: shorten it", text, 0, len(text))
    query = _Parser(text).query()
    check_size(query, text)
    return query


class _Parser:
    def __init__(self, text: str) -> None:
        self.scan = Scanner(text)

    def query(self) -> Query:
        terms: list[Term | None] = []
        words: list[str] = []
        parts: list[Node] = []
        order: Sorted | None = None
        for operand in self._top():
            if isinstance(operand, Bare):
                if not words:
                    terms.append(None)
                words.append(operand.text)
            elif isinstance(operand, Ranked):
                terms.extend(operand.terms)
            elif isinstance(operand, Sorted):
                if order:
                    raise self.scan.error("An order is already given: leave one out", *operand.span)
                order = operand
            else:
                assert not isinstance(operand, Operator)
                parts.append(operand)
        text = TextTerm(" ".join(words))
        filled = tuple(text if term is None else term for term in terms)
        return Query(filled, normal(All(tuple(parts))), order.order if order else None)

    def _top(self) -> list[Operand]:
        """What the whole query consists of; written `and`s have become text or nothing."""
        operands: list[Operand] = []
        while self._more():
            branches = self._chain(top=True)
            if len(branches) == 1:
                operands += self._flat(branches[0])
            else:
                operands.append(self._node(branches))
        return [o for o in operands if not (isinstance(o, Bare) and (o.everything or not o.text.strip()))]

    def _flat(self, branch: Sequence[Operand]) -> list[Operand]:
        flat: list[Operand] = []
        for number, operand in enumerate(branch):
            if not isinstance(operand, Operator):
                flat.append(operand)
                continue
            beside = [branch[n] for n in (number - 1, number + 1) if 0 <= n < len(branch)]
            if all(isinstance(other, Bare) and not other.everything for other in beside):
                flat.append(Bare(operand.text, operand.span))
            elif len(beside) < 2:
                raise self._lonely(operand)
        return flat

    def _more(self) -> bool:
        self.scan.skip_spaces()
        if self.scan.next == ")" and not self.scan.depth:
            at = self.scan.at
            raise self.scan.error("This ) closes nothing: remove it, or put it in quotes", at, at + 1)
        return self.scan.next not in ("", ")")

    def _chain(self, *, top: bool) -> list[list[Operand]]:
        """Operands joined by `or` (outer list) and `and` (inner lists, with the `and`s)."""
        branches: list[list[Operand]] = [[]]
        waiting: Operator | None = None
        while True:
            operator = self._operator()
            nothing_before = waiting is not None or not branches[-1]
            if operator is None:
                if not nothing_before or not self._more():
                    break
                branches[-1].append(self._operand())
                waiting = None
                continue
            # "and so on" begins a text.
            begins_text = top and branches == [[]] and operator.is_and and waiting is None
            if nothing_before and not begins_text:
                raise self._lonely(operator)
            if operator.is_and:
                branches[-1].append(operator)
            else:
                branches.append([])
            waiting = operator
        if waiting and not (top and len(branches) == 1):
            raise self._lonely(waiting)
        return branches

    def _operator(self) -> Operator | None:
        self.scan.skip_spaces()
        match = _OPERATOR.match(self.scan.text, self.scan.at)
        if match is None:
            return None
        self.scan.at = match.end()
        return Operator(match[0], match.span())

    def _lonely(self, operator: Operator) -> QuerySyntaxError:
        word = operator.text
        return self.scan.error(
            f'`{word}` needs something on both sides; as a word of the text it goes in quotes: "{word}"',
            *operator.span,
        )

    def _operand(self) -> Operand:
        start = self.scan.at
        if negation := _NOT.match(self.scan.text, start):
            raise self.scan.error(
                f"`{negation[0].strip()}` is written - here, right before what is left out; "
                f'as a word of the text it goes in quotes: "{negation[0].strip()}"',
                *negation.span(),
                ("-",),
            )
        if not _EXCLUDED.match(self.scan.text, start):
            return self._plain_operand()
        self.scan.at += 1
        return self._without(self._plain_operand(), start)

    def _without(self, operand: Operand, start: int) -> Operand:
        if isinstance(operand, Ranked):
            terms = tuple(replace(term, weight=-term.weight) for term in operand.terms)
            return Ranked(terms, (start, self.scan.at))
        if isinstance(operand, Sorted):
            raise self.scan.error("An order cannot be left out; for the other way round write _asc", start)
        return normal(Not(self._as_node(operand)))

    def _plain_operand(self) -> Operand:
        if self.scan.next == "(":
            return self._group()
        if self.scan.next in QUOTES:
            return self._phrase()
        return self._word(self.scan.word())

    def _group(self) -> Node:
        start = self.scan.at
        if self.scan.depth >= MAX_DEPTH:
            raise self.scan.error(f"At most {MAX_DEPTH} groups can stand in each other", start, start + 1)
        self.scan.at += 1
        self.scan.depth += 1
        parts = []
        while self._more():
            parts.append(self._node(self._chain(top=False)))
        if not self.scan.next:
            raise self.scan.error("The ( opened here is never closed: add a )", start, start + 1)
        self.scan.at += 1
        self.scan.depth -= 1
        if not parts:
            raise self.scan.error("There is nothing in this group: remove it", start)
        return All(tuple(parts))

    def _node(self, branches: Sequence[Sequence[Operand]]) -> Node:
        return normal(Any(tuple(self._all(branch) for branch in branches)))

    def _all(self, branch: Sequence[Operand]) -> Node:
        return All(tuple(self._as_node(operand) for operand in branch if not isinstance(operand, Operator)))

    def _as_node(self, operand: Operand) -> Node:
        if isinstance(operand, Bare):
            return EVERYTHING if operand.everything else self._tag(operand)
        if isinstance(operand, Ranked | Sorted):
            raise self.scan.error(
                "What ranks or sorts stands outside groups and not beside `or`: it is about the whole query",
                *operand.span,
            )
        assert not isinstance(operand, Operator)
        return operand

    def _tag(self, bare: Bare) -> TagIs:
        return TagIs(self._read(lambda: tag_name(bare.text), *bare.span), span=bare.span)

    def _phrase(self) -> Operand:
        phrase = self.scan.phrase()
        if self.scan.next == ":" and self.scan.text[self.scan.at + 1 :][:1].strip():
            if tag := self._tag_with_statements(phrase.text, phrase.span[0]):
                return tag
            start = self.scan.at
            self.scan.word()
            raise self.scan.error('A confidence follows here, as in "traffic light":>=0.8', start)
        if (weight := self.scan.weight()) is not None:
            return self._text(phrase, weight)
        return Bare(phrase.text, phrase.span, phrase=True)

    def _text(self, piece: Piece, weight: float | None) -> Ranked:
        span = (piece.span[0], self.scan.at)
        if not piece.text.strip():
            raise self.scan.error('There are no words here; for example text:"in red"^0.5', *span)
        return Ranked((TextTerm(piece.text, 1.0 if weight is None else weight),), span)

    def _word(self, word: Word) -> Operand:
        colon = word.find(":")
        head, rest = word.text[:colon], word.text[colon + 1 :]
        key = BY_NAME.get(head.casefold()) if all(word.plain[: max(colon, 0)]) else None
        if colon < 0 or rest.startswith("//") or not (rest or key) or not _LETTER.search(head):
            return self._bare(word)
        self.scan.at = self._place(word, colon)
        if key is not None:
            return self._condition(key, word.start)
        try:
            if tag := self._tag_with_statements(head, word.start):
                return tag
        except QuerySyntaxError:
            # `widht:>2000` is no confidence, but a slip in a key.
            if not nearest_keys(head):
                raise
        raise self._unknown(word, colon)

    def _place(self, word: Word, index: int) -> int:
        """Where in the query a character of the word stands: escapes take two."""
        return word.start + index + word.plain[:index].count(False)

    def _unknown(self, word: Word, colon: int) -> QuerySyntaxError:
        head, end = word.text[:colon], self._place(word, colon)
        keys = nearest_keys(head)
        if _LIKE_A_CONFIDENCE.fullmatch(word.text[colon + 1 :]):
            better = f"{head}:>={word.text[colon + 1 :].lstrip('=')}"
            message = f"A tag's confidence needs a comparison: write {better}"
            return self.scan.error(message, word.start, word.end, (better,))
        return self.scan.error(
            f'`{head}:` is no key; to search for the words themselves put them in quotes: "{word.text}"',
            word.start,
            end,
            keys,
        )

    def _bare(self, word: Word) -> Operand:
        weighted = None if word.literal else _WEIGHTED.fullmatch(word.text)
        if weighted:
            self.scan.at = word.start + len(weighted[1])
            return self._text(Piece(weighted[1], span=(word.start, self.scan.at)), self.scan.weight())
        return Bare(word.text, (word.start, word.end), word.literal)

    def _tag_with_statements(self, name: str, start: int) -> TagIs | None:
        """`dog:>=0.8`, with the scanner at the colon; None, and nothing read, if no confidence follows."""
        colon = self.scan.at
        self.scan.at += 1
        pieces = self.scan.pieces(commas=True)
        if not all(map(states_confidence, pieces)):
            self.scan.at = colon
            return None
        tag = TagIs(self._read(lambda: tag_name(name), start, colon), span=(start, colon))
        return self._read(lambda: with_statements(tag, pieces), start)

    def _condition(self, key: Key, start: int) -> Operand:
        """`key:value`, with the scanner at the colon."""
        self.scan.at += 1
        ranks = key.takes in ("text", "like")
        pieces = self.scan.pieces(commas=key.takes not in ("text", "order"), stop="^" if ranks else "")
        empty = next((piece for piece in pieces if not piece.text and not piece.quoted), None)
        if empty:
            message = f"`{key.name}:` needs a value right after it, for example {key.examples[0]}"
            raise self.scan.error(message, start)
        if not ranks:
            return self._filter_or_order(key, pieces, start)
        weight = self.scan.weight()
        if key.takes == "text":
            ranked = self._text(pieces[0], weight)
            return replace(ranked, span=(start, self.scan.at))
        terms = self._read(lambda: read_like(pieces, 1.0 if weight is None else weight), start)
        return Ranked(tuple(terms), (start, self.scan.at))

    def _filter_or_order(self, key: Key, pieces: Sequence[Piece], start: int) -> Operand:
        span = (start, self.scan.at)
        if key.takes == "order":
            return Sorted(self._read(lambda: read_order(pieces[0].text), *pieces[0].span), span)
        return self._read(lambda: read_filter(key, pieces, span), *span)

    def _read(self, read: Callable[[], T], start: int, end: int | None = None) -> T:
        """What `read` makes of these characters; its slip becomes an error that points at them."""
        try:
            return read()
        except PieceSlip as slip:
            raise self.scan.error(str(slip), *slip.piece.span, slip.suggestions) from slip
        except Slip as slip:
            raise self.scan.error(str(slip), start, end, slip.suggestions) from slip
