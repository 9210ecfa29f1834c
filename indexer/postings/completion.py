"""Tags by how they begin: their names, the words in these, other names and names in other languages."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.postings.sets import Family
from indexer.vocabulary import canonical

if TYPE_CHECKING:
    from indexer.postings.view import View

_LAST = "\U0010ffff"
EXACT, PREFIX, WORD = 0, 1, 2


@dataclass(frozen=True)
class Completion:
    """A tag, how many searchable images show it, and the other name by which it was found, if it was."""

    name: str
    count: int
    alias: str | None = None


class TagIndex:
    """Every place at which a name of a tag may begin to be typed, in alphabetical order."""

    def __init__(self, names: Iterable[tuple[int, str]], aliases: Iterable[tuple[int, str]]) -> None:
        """From (tag id, name) and (tag id, other name)."""
        known = sorted(names, key=lambda row: row[1])
        self.tag_ids = [tag_id for tag_id, _ in known]
        self.names = [name for _, name in known]
        numbers = {tag_id: number for number, tag_id in enumerate(self.tag_ids)}
        rows = [(start, numbers[tag_id], "") for tag_id, name in known for start in _starts(canonical(name))]
        rows += [
            (start, numbers[tag_id], alias)
            for tag_id, alias in aliases
            if tag_id in numbers
            for start in _starts(canonical(alias))
        ]
        rows.sort()
        self._starts = [start for (start, _), _, _ in rows]
        self._words = np.array([word for (_, word), _, _ in rows], bool)
        self._tags = np.array([number for _, number, _ in rows], np.int64)
        self._aliases = [alias for _, _, alias in rows]
        self._aliased = np.array([bool(alias) for alias in self._aliases], bool)
        self._counted: tuple[Family, np.ndarray] | None = None

    def counts(self, family: Family) -> np.ndarray:
        """How many images each tag has, in the order of `names`."""
        kept = self._counted
        if kept is None or kept[0] is not family:
            kept = family, np.array([len(family.get(tag_id)) for tag_id in self.tag_ids], np.int64)
            self._counted = kept
        return kept[1]

    def find(self, prefix: str, counts: np.ndarray, limit: int) -> list[Completion]:
        """The best `limit` tags for a canonical prefix."""
        first, last = bisect_left(self._starts, prefix), bisect_left(self._starts, prefix + _LAST)
        exact = bisect_left(self._starts, prefix + "\0")
        rank = np.where(self._words[first:last], WORD, PREFIX)
        rank[: exact - first][rank[: exact - first] == PREFIX] = EXACT
        tags = self._tags[first:last]
        # The best way in which each tag was found: its own name rather than another.
        order = np.lexsort((self._aliased[first:last], rank, tags))
        best = order[np.flatnonzero(np.diff(tags[order], prepend=-1))]
        ranked = best[np.lexsort((tags[best], -counts[tags[best]], rank[best]))]
        return [
            Completion(self.names[tags[row]], int(counts[tags[row]]), self._aliases[first + row] or None)
            for row in ranked[:limit]
        ]


def complete(view: "View", prefix: str, limit: int) -> list[Completion]:
    """Tags one may mean by what has been typed: the very name first, then names that begin so, then words in them.

    Each of these the commonest first, then by name. Case, `_` and spaces do not matter. Of no letters at all: the
    commonest tags.
    """
    index = view.tag_index()
    return index.find(canonical(prefix), index.counts(view.family("tag")), limit)


def _starts(name: str) -> list[tuple[str, bool]]:
    """The name, then the rest of it from every further word on; whether it is such a rest."""
    spaces = [place + 1 for place, letter in enumerate(name) if letter == " "]
    return [(name, False), *((name[place:], True) for place in spaces)]
