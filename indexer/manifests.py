"""Manifests: tables of pictures to bring and of what is to be said of them, as CSV or JSON Lines.

Read row by row, however long the file. A row that cannot be used is handed on as such, with its number and what is
wrong with it; it costs no other row. Spreadsheets write CSV in many ways: any of comma, semicolon and tab between
cells, with or without a byte order mark, in UTF-8 or UTF-16; the columns are known by their names, in any order.
"""

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from indexer.catalog.own_names import MAX_NAME
from indexer.catalog.statements import Said
from indexer.errors import ManifestError
from indexer.search.export import FACTS, text_of
from indexer.search.fingerprints import fact_digest
from indexer.spreadsheets import plain
from indexer.vocabulary import BETWEEN_TAGS, canonical

MAX_LINE = 2**20  # bytes of a JSON line
MAX_TAGS, MAX_TAG = 100, 100
# Column -> the most characters one of its cells may have.
COLUMNS: Mapping[str, int] = {
    "id": 20,
    "url": 4_096,
    "path": 4_096,
    "sku": MAX_NAME,
    "title": 1_000,
    "caption": 2_000,
    "alt_text": 2_000,
    "tags": 20_000,
    "rejected_tags": 20_000,
    "collection": MAX_NAME,
    "as_exported": 200,
}
_NAMES: Mapping[str, str] = {
    "image_url": "url",
    "file": "path",
    "filename": "path",
    "external_id": "sku",
    "alt": "alt_text",
    "alttext": "alt_text",
    "keywords": "tags",
}
_NAMING = ("url", "path", "sku", "id")
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True)
class Row:
    """One picture of a manifest. `number` is its row as a spreadsheet counts them, the heading being row 1.

    `cells` has what stands in the columns Sightline knows, as text, empty ones left out; `said` the same understood;
    `empty` names the columns that are there and say nothing; `facts` has the fingerprints of what stands in columns of
    an export that no table can change.
    """

    number: int
    cells: Mapping[str, str]
    said: Said = field(default_factory=Said)
    empty: frozenset[str] = frozenset()
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def image_id(self) -> int | None:
        """The image an exported row is about."""
        return int(self.cells["id"]) if "id" in self.cells else None


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used, and why."""

    number: int
    reason: str
    sku: str | None = None


@dataclass(frozen=True)
class Table:
    """The rows of a manifest, read on as they are asked for, once; and columns that are passed over.

    Those are columns whose names mean nothing here, and such as no table can change: of these, where the table does not
    tell which cells were edited (`as_exported`), so that their rows cannot be told.
    """

    rows: Iterator[Row | BadRow]
    passed_over: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Row | BadRow]:
        return self.rows


def read(file: BinaryIO) -> Table:
    """The table in a file; by its first character it is JSON Lines or CSV.

    Raises:
        ManifestError: no row can be used: it is empty, no text, or has no column that names pictures.
    """
    text = _text(file)
    first = text.readline(MAX_LINE)
    while first and not first.strip():
        first = text.readline(MAX_LINE)
    if not first:
        raise ManifestError("The manifest is empty.")
    if "\0" in first:
        raise ManifestError("The manifest is no text: save the table as CSV UTF-8, or write JSON Lines.")
    return Table(_json_rows(first, text)) if first.lstrip().startswith("{") else _csv_table(first, text)


def _text(file: BinaryIO) -> io.TextIOWrapper:
    """The file as text. What is not UTF-8 survives as lone surrogates, by which its rows are told."""
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(file)  # type: ignore[type-var]
    start = buffered.peek(4)[:4]
    for mark, encoding in _BOMS:
        if start.startswith(mark):
            buffered.read(len(mark))
            return io.TextIOWrapper(
                buffered, encoding, "surrogateescape" if encoding == "utf-8" else "replace", ""
            )
    return io.TextIOWrapper(buffered, "utf-8", "surrogateescape", "")


def _csv_table(first: str, rest: io.TextIOWrapper) -> Table:
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # what Excel is told the delimiter by
        delimiter, first, number = first.strip()[4], rest.readline(MAX_LINE), 2
    else:
        delimiter, number = max(",;\t", key=first.count), 1
    heading = next(csv.reader([first], delimiter=delimiter), [])
    columns = _columns(heading)
    over = {"", *(() if "as_exported" in columns else FACTS)}
    strange = [name.strip() for name, column in zip(heading, columns, strict=True) if column in over]
    shown = tuple(_keepable(name) for name in strange if name)
    return Table(_csv_body(columns, csv.reader(rest, delimiter=delimiter), number), shown)


def _csv_body(columns: Sequence[str], reader: Iterator[list[str]], number: int) -> Iterator[Row | BadRow]:
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(number, f"It cannot be read ({error}); is a quotation mark left open?")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(columns):
            yield BadRow(
                number,
                f"It has {len(cells)} cells, the heading {len(columns)}: quote text that holds the delimiter.",
            )
            continue
        given = {
            name: plain(cell.strip()).strip() for name, cell in zip(columns, cells, strict=False) if name
        }
        yield understood(number, given)


def _columns(heading: Iterable[str]) -> list[str]:
    """The column or fact each place of the heading stands for, "" for none. Raises ManifestError."""
    found = [_column(name) for name in heading]
    twice = [name for name in COLUMNS if found.count(name) > 1]
    if twice:
        raise ManifestError(f"Two columns mean {twice[0]!r}: leave one of them out.")
    if not any(name in found for name in _NAMING):
        shown = ", ".join(repr(name[:30]) for name in list(heading)[:10])
        raise ManifestError(
            f"No column names pictures: there has to be one of {', '.join(_NAMING)} in the first row; found {shown}."
        )
    return found


def _column(name: str) -> str:
    """The column of this name, known or a fact; "" for none."""
    spelt = "_".join(name.lower().replace("-", " ").replace("_", " ").split())
    spelt = _NAMES.get(spelt, spelt)
    return spelt if spelt in COLUMNS or spelt in FACTS else ""


def _json_rows(first: str, rest: io.TextIOWrapper) -> Iterator[Row | BadRow]:
    number, line = 1, first
    while line:
        if line.strip():
            yield _json_row(number, line)
        while line and not line.endswith("\n") and len(line) >= MAX_LINE:
            line = rest.readline(MAX_LINE)  # the rest of a line that was too long
        number, line = number + 1, rest.readline(MAX_LINE)


def _json_row(number: int, line: str) -> Row | BadRow:
    if len(line) >= MAX_LINE:
        return BadRow(number, f"The line has over {MAX_LINE:,} characters.")
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        return BadRow(number, "It is not JSON: write one object on each line.")
    if not isinstance(given, dict):
        return BadRow(number, 'It is no object: write {"url": "https://…", "sku": "…"} on each line.')
    cells = {}
    for name, value in given.items():
        if (column := _column(name)) and value is not None:
            text = text_of(value) if column in FACTS else _as_text(value)
            if text is None:
                return BadRow(number, f"{name[:30]!r} is neither text nor a list of texts.")
            cells[column] = text
    return understood(number, cells)


def _as_text(value: Any) -> str | None:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "; ".join(value)
    return (
        str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    )


def understood(number: int, given: Mapping[str, str]) -> Row | BadRow:
    """A row of these cells, or what is wrong with it."""
    facts = {name: fact_digest(text) for name, text in given.items() if name in FACTS}
    cells = _as_exported({name: text for name, text in given.items() if text and name not in FACTS})
    sku, said = cells.get("sku"), _said(cells)
    if wrong := _wrong_cell(cells) or _wrong_name(cells) or _wrong_tags(said):
        return BadRow(number, wrong, None if sku is None else _keepable(sku))
    empty = frozenset(name for name, text in given.items() if not text and name not in FACTS)
    return Row(number, cells, said, empty, facts)


def _as_exported(cells: Mapping[str, str]) -> Mapping[str, str]:
    """An export has addresses of any kind under `path`: those of the web are a url, those of uploads lead nowhere."""
    path = cells.get("path", "")
    rest = {name: text for name, text in cells.items() if name != "path"}
    if path.startswith("upload:"):
        return rest
    return {"url": path, **rest} if "://" in path else cells


def saying(cells: Mapping[str, str]) -> Said:
    """What cells say of a picture that is named otherwise. Raises ManifestError for one that cannot be kept."""
    said = _said(cells)
    if wrong := _wrong_cell(cells) or _wrong_tags(said):
        raise ManifestError(wrong)
    return said


def _said(cells: Mapping[str, str]) -> Said:
    shown, rejected = _tags(cells.get("tags", "")), _tags(cells.get("rejected_tags", ""))
    caption = cells.get("alt_text") or cells.get("caption")
    return Said(cells.get("sku"), cells.get("title"), caption, shown, cells.get("collection"), rejected)


def _wrong_cell(cells: Mapping[str, str]) -> str | None:
    for name, text in cells.items():
        if any("\ud800" <= character <= "\udfff" for character in text):
            return f"{name!r} is not in UTF-8: save the table as CSV UTF-8."
        if "\0" in text:
            return f"{name!r} holds a character that cannot be kept (U+0000)."
        if len(text) > COLUMNS[name]:
            return f"{name!r} has {len(text):,} characters; at most {COLUMNS[name]:,} are kept."
    return None


def _wrong_name(cells: Mapping[str, str]) -> str | None:
    """What is wrong with how the row names its picture."""
    if not any(name in cells for name in _NAMING):
        return f"It names no picture: fill one of {', '.join(_NAMING)}."
    number = cells.get("id", "0")
    if not (number.isascii() and number.isdigit() and int(number) < 2**63):
        return f"{number!r} is no id of an image."
    if "url" in cells and "path" in cells and "id" not in cells:
        return "It names both a url and a path: leave one of them out."
    return None


def _wrong_tags(said: Said) -> str | None:
    for tags in (said.tags, said.rejected):
        if len(tags) > MAX_TAGS or any(len(tag) > MAX_TAG for tag in tags):
            return f"It has over {MAX_TAGS} tags, or one of over {MAX_TAG} characters."
    if both := [tag for tag in said.tags if tag in said.rejected]:
        return f"{both[0]!r} stands both under tags and under rejected_tags: leave it in one of them."
    return None


def _keepable(name: str) -> str:
    """A SKU or a column's name in which what cannot be kept is told by question marks."""
    return name[:MAX_NAME].replace("\0", "?").encode("utf-8", "replace").decode()


def _tags(text: str) -> tuple[str, ...]:
    """Tags with semicolons, commas or bars between, each once."""
    names = re.split(f"[{BETWEEN_TAGS}]", text)
    return tuple(dict.fromkeys(name for name in map(canonical, names) if name))
