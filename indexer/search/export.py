"""A whole answer as a table: CSV, JSON Lines or Parquet, written as it is found.

CSV opens in spreadsheets, which run a cell that begins like a formula: `spreadsheets.py` says how such text is guarded.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Literal, get_args
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq

from indexer import spreadsheets
from indexer.catalog.hits import ImageView, TagView
from indexer.errors import QueryError
from indexer.search.fingerprints import fact_digest, fingerprint
from indexer.search.result import Hit

Format = Literal["csv", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}
ALT_CHARACTERS = 125  # what screen readers are said to read at once
_ROWS = 2_000  # rows written at once

Value = str | int | float | datetime | list[str] | list[float] | None


def _path(image: ImageView) -> str | None:
    uri = image.sources[0].uri if image.sources else None
    return unquote(urlparse(uri).path, errors="replace") if uri and uri.startswith("file:") else uri


def _sku(image: ImageView) -> str | None:
    return next((source.external_id for source in image.sources if source.external_id), None)


def _caption(image: ImageView) -> str | None:
    return image.captions[0].text if image.captions else None


def alt_text(image: ImageView) -> str | None:
    """The caption for who cannot see the picture: at most 125 characters, cut between words."""
    text = _caption(image)
    if text is None or len(text) <= ALT_CHARACTERS:
        return text
    head, _, _ = text[:ALT_CHARACTERS].rpartition(" ")
    return (head or text[: ALT_CHARACTERS - 1]).rstrip(" ,;:.") + "…"


def _shown(image: ImageView) -> dict[str, TagView]:
    """What the image is said to show, each tag once, by its surest statement; the surest first."""
    shown: dict[str, TagView] = {}
    for tag in image.tags:
        if not tag.rejected:
            shown.setdefault(tag.name, tag)
    return shown


def _people(image: ImageView, *, rejected: bool) -> list[str]:
    return [tag.name for tag in image.tags if tag.kind == "person" and tag.rejected is rejected]


def editable(image: ImageView) -> dict[str, str | None]:
    """The cells of a row that are people's to edit, by column; in the order of the row's `as_exported`."""
    return {
        "title": image.title,
        "caption": _caption(image),
        "alt_text": alt_text(image),
        "tags": "; ".join(_shown(image)),
        "rejected_tags": "; ".join(_people(image, rejected=True)),
    }


def _by(image: ImageView) -> str | None:
    """Who wrote the caption that `alt_text` is made of."""
    if not image.captions:
        return None
    return "human" if image.captions[0].kind == "person" else "model"


def _as_exported(hit: Hit) -> str:
    """By which an import tells cells that were edited: those that count, and those that it cannot change."""
    facts = [fact_digest(text_of(COLUMNS[name][1](hit))) for name in FACTS]
    return "-".join([fingerprint(list(editable(hit.image).values())), *facts])


_TEXTS, _NUMBERS = pa.list_(pa.string()), pa.list_(pa.float32())
# Each column: its type in Parquet, and its value.
COLUMNS: Mapping[str, tuple[pa.DataType, Callable[[Hit], Value]]] = {
    "id": (pa.int64(), lambda hit: hit.image.id),
    "sku": (pa.string(), lambda hit: _sku(hit.image)),
    "path": (pa.string(), lambda hit: _path(hit.image)),
    "title": (pa.string(), lambda hit: hit.image.title),
    "caption": (pa.string(), lambda hit: _caption(hit.image)),
    "alt_text": (pa.string(), lambda hit: alt_text(hit.image)),
    "alt_text_by": (pa.string(), lambda hit: _by(hit.image)),
    "tags": (_TEXTS, lambda hit: list(_shown(hit.image))),
    "confidences": (_NUMBERS, lambda hit: [tag.confidence for tag in _shown(hit.image).values()]),
    "human_tags": (_TEXTS, lambda hit: _people(hit.image, rejected=False)),
    "rejected_tags": (_TEXTS, lambda hit: _people(hit.image, rejected=True)),
    "taken": (pa.timestamp("us"), lambda hit: hit.image.taken_at),
    "added": (pa.timestamp("us", "UTC"), lambda hit: hit.image.added_at),
    "width": (pa.int32(), lambda hit: hit.image.width),
    "height": (pa.int32(), lambda hit: hit.image.height),
    "format": (pa.string(), lambda hit: hit.image.format),
    "bytes": (pa.int64(), lambda hit: hit.image.bytes),
    "description": (pa.string(), lambda hit: hit.image.description),
    "place": (pa.string(), lambda hit: hit.image.place),
    "latitude": (pa.float64(), lambda hit: hit.image.latitude),
    "longitude": (pa.float64(), lambda hit: hit.image.longitude),
    "score": (pa.float64(), lambda hit: hit.score),
    "as_exported": (pa.string(), _as_exported),
}
# Columns that tell what no table can change, in the order of the row's `as_exported`: new ones go to the end.
FACTS = (
    *("alt_text_by", "confidences", "human_tags", "taken", "added", "width", "height", "format", "bytes"),
    *("description", "place", "latitude", "longitude", "score"),
)


def chosen(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns asked for, all where none is.

    Raises:
        QueryError: one does not exist, or is asked for twice.
    """
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise QueryError(f"There is no column {unknown[0][:50]!r}; there are {', '.join(COLUMNS)}.")
    if len(set(columns)) < len(columns):
        raise QueryError("A column is named twice; name each once.")
    return tuple(columns) or tuple(COLUMNS)


def written(hits: Iterable[Hit], format_: Format, columns: Sequence[str] = ()) -> Iterator[bytes]:
    """The table in pieces as they come; a row for each hit, in order.

    Raises:
        QueryError: a column does not exist or is named twice.
    """
    names = chosen(columns)
    rows = ({name: COLUMNS[name][1](hit) for name in names} for hit in hits)
    writer = {"csv": _csv, "jsonl": _json_lines, "parquet": _parquet}[format_]
    return writer(names, _batches(rows))


def _batches(rows: Iterator[dict[str, Value]]) -> Iterator[list[dict[str, Value]]]:
    while batch := list(islice(rows, _ROWS)):
        yield batch


def _csv(names: Sequence[str], batches: Iterable[list[dict[str, Value]]]) -> Iterator[bytes]:
    yield (",".join(names) + "\r\n").encode()
    for batch in batches:
        out = io.StringIO(newline="")
        csv.writer(out).writerows([_cell(row[name]) for name in names] for row in batch)
        yield out.getvalue().encode("utf-8", "replace")


def text_of(value: Any) -> str:
    """A value as it stands in a cell, before any guard."""
    if isinstance(value, list):
        return "; ".join(f"{item:.4g}" if isinstance(item, int | float) else str(item) for item in value)
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else str(value)


def _cell(value: Value) -> str | int | float | None:
    return value if value is None or isinstance(value, int | float) else spreadsheets.guarded(text_of(value))


def _json_lines(_: Sequence[str], batches: Iterable[list[dict[str, Value]]]) -> Iterator[bytes]:
    for batch in batches:
        lines = (json.dumps(row, default=_iso, ensure_ascii=False) + "\n" for row in batch)
        yield "".join(lines).encode("utf-8", "replace")


def _iso(value: Any) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


def _parquet(names: Sequence[str], batches: Iterable[list[dict[str, Value]]]) -> Iterator[bytes]:
    """Row groups as they fill; the table of contents comes last."""
    schema = pa.schema([(name, COLUMNS[name][0]) for name in names])
    sink = _Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """Takes what is written until it is fetched."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Keep it."""
        piece = bytes(data)
        self._held += piece
        return len(piece)

    def take(self) -> bytes:
        """What was written since the last time."""
        held, self._held = bytes(self._held), bytearray()
        return held
