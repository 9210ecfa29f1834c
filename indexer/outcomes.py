"""What became of the rows of a manifest, and what of it somebody has to be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from indexer.catalog.statements import Said
from indexer.manifests import BadRow, Row
from indexer.search.export import ALT_CHARACTERS

BAD_ROW, UNKNOWN_SKU, UNKNOWN_IMAGE, NO_PATHS = "bad_row", "unknown_sku", "unknown_image", "no_paths"
SHOWN = 60  # characters of a text that stand in a line

Status = Literal["fetching", "accepted", "changed", "unchanged", "refused"]


@dataclass(frozen=True)
class Change:
    """What a row says anew in one column; `old` is what was there, None for nothing.

    `by_person`: what was there was a person's word too, which this one takes back.
    """

    column: str
    old: str | None
    new: str
    by_person: bool = False

    def told(self, whose: str = "") -> str:
        """Old and new, behind the old one whose word it was; long ones from shortly before where they differ."""
        name, new = self.column.replace("_", " "), " ".join(self.new.split())
        if self.old is None:
            return f'{name} "{_cut(new)}"'
        old = " ".join(self.old.split())
        start = max(0, _alike(old, new) - SHOWN // 3) if len(max(old, new, key=len)) > SHOWN else 0
        return f'{name} "{_cut(old, start)}"{whose} -> "{_cut(new, start)}"'


@dataclass(frozen=True)
class Outcome:
    """What became of a row.

    "fetching": its address waits to be fetched; "accepted": a new image waits to be looked at; "changed": of an image
    in the library something is said anew, in the columns `said`; "unchanged": nothing is; "refused": see `code` and
    `message`. `note` is what whoever sent a row that was taken should know of it.
    """

    number: int
    uri: str
    status: Status
    sku: str | None = None
    image_id: int | None = None
    code: str | None = None
    message: str | None = None
    note: str | None = None
    said: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def reason(self) -> str | None:
        """Why it was refused, with its row."""
        return None if self.message is None else f"Row {self.number}: {self.message}"

    @property
    def remark(self) -> str | None:
        """Its note, and which words of people it takes back."""
        words = "; ".join(change.told() for change in self.changes if change.by_person)
        return joined(self.note, f"It takes back a person's word: {words}." if words else None)


def came_to(row: Row, status: Status, image_id: int | None = None) -> Outcome:
    """Of a row that could be used."""
    return Outcome(row.number, _uri(row), status, row.said.sku, image_id)


def refusal(row: Row, code: str, message: str) -> Outcome:
    """Of one that could not."""
    return Outcome(row.number, _uri(row), "refused", row.said.sku, None, code, message)


def unread(row: BadRow) -> Outcome:
    """Of one that could not even be read."""
    return Outcome(row.number, f"row {row.number}", "refused", row.sku, None, BAD_ROW, row.reason)


def columns_of(said: Said) -> tuple[str, ...]:
    """The columns that say something; the collection, in which the picture may be already, where it is all there is."""
    given = {"title": said.title, "alt_text": said.caption, "tags": said.tags, "rejected_tags": said.rejected}
    return tuple(name for name, value in given.items() if value) or ("collection",)


def joined(*notes: str | None) -> str | None:
    """Those there are, as one."""
    return " ".join(note for note in notes if note) or None


def shared(sku: str, row: int | None, others: Sequence[int]) -> str | None:
    """The note on a picture whose SKU that of a row before it is too, or that of others in the library."""
    if row is not None:
        return f"Row {row} has the SKU {sku} too, so several pictures have it. Is it a slip?"
    if others:
        which = ", ".join(f"id:{image_id}" for image_id in others[:5])
        return f"The SKU {sku} is also that of {which}. If this picture replaces another, delete that one."
    return None


def respelt(sku: str, where: str) -> str:
    """The note on a picture beside whose SKU there is one that is spelt like it but for its case."""
    return f"{where} has the SKU {sku}, which differs only in upper and lower case. Is it a slip?"


def too_long(row: Row, one: Outcome) -> str | None:
    """The note on a new alternative text of which an export has only the beginning."""
    text = row.cells.get("alt_text", "")
    new = one.status in ("accepted", "fetching") or "alt_text" in one.said
    if not new or len(text) <= ALT_CHARACTERS:
        return None
    return (
        f"Its alt_text has {len(text):,} characters. All are kept, but an export cuts alt_text to {ALT_CHARACTERS}, "
        "since screen readers are said to read no more at once; the column caption has all."
    )


def _alike(old: str, new: str) -> int:
    """How many characters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def _cut(text: str, start: int = 0) -> str:
    end = start + SHOWN
    return ("…" if start else "") + text[start:end] + ("…" if len(text) > end else "")


def _uri(row: Row) -> str:
    named = f"sku:{row.said.sku}" if row.said.sku else f"id:{row.image_id}"
    return row.cells.get("url") or row.cells.get("path") or named
