"""A whole answer as a table."""

import csv
import io
import json
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer import spreadsheets
from indexer.catalog.hits import CaptionView, ImageView, SourceView, TagView
from indexer.errors import QueryError
from indexer.search import Hit, export
from indexer.search.reasons import Why


def _tag(name: str, confidence: float, kind: str = "tagger", rejected: bool = False) -> TagView:
    return TagView(1, name, confidence, 0.5, rejected, kind, "small", "1")


def _hit(image_id: int = 7, score: float | None = 1.5, **changes: object) -> Hit:
    facts = {
        "id": image_id,
        "content_hash": b"x" * 32,
        "state": "indexed",
        "error_code": None,
        "error_message": None,
        "bytes": 1234,
        "format": "jpeg",
        "width": 640,
        "height": 480,
        "taken_at": datetime(2024, 5, 17, 18, 30),
        "title": "Beach",
        "description": None,
        "place": None,
        "latitude": 1.25,
        "longitude": None,
        "added_at": datetime(2026, 1, 2, tzinfo=UTC),
        "indexed_at": None,
        "tags": (
            _tag("cat", 0, "person", rejected=True),
            _tag("dog", 1.0, "person"),
            _tag("dog", 0.9),
            _tag("sea", 0.75),
        ),
        "captions": (CaptionView("a dog by the sea", "person", "you", "", ()),),
        "sources": (
            SourceView("path", "file:///photos/my%20dog.jpg", None),
            SourceView("upload", "upload:ab/x.jpg", "A-1"),
        ),
    }
    return Hit(ImageView(**{**facts, **changes}), Why(), score)  # type: ignore[arg-type]


def _whole(hits: list[Hit], format_: export.Format, columns: tuple[str, ...] = ()) -> bytes:
    return b"".join(export.written(hits, format_, columns))


EXPECTED = {
    "id": 7,
    "sku": "A-1",
    "path": "/photos/my dog.jpg",
    "caption": "a dog by the sea",
    "tags": ["dog", "sea"],
    "confidences": [1.0, 0.75],
    "human_tags": ["dog"],
    "rejected_tags": ["cat"],
    "taken": "2024-05-17T18:30:00",
    "width": 640,
    "latitude": 1.25,
    "longitude": None,
    "score": 1.5,
}


def test_json_lines_have_everything() -> None:
    """A line for each image, lists as lists, nothing as null."""
    (row,) = map(json.loads, _whole([_hit()], "jsonl").splitlines())
    assert list(row) == list(export.COLUMNS)
    assert {name: row[name] for name in EXPECTED} == EXPECTED


def test_parquet_has_types() -> None:
    """Times are times, lists lists; thousands of rows come in several groups, in order."""
    hits = [_hit(image_id, score=None) for image_id in range(1, 4502)]
    read = pq.ParquetFile(io.BytesIO(_whole(hits, "parquet")))
    rows = read.read().to_pylist()
    assert (read.num_row_groups, [row["id"] for row in rows]) == (3, list(range(1, 4502)))
    assert rows[0]["taken"] == datetime(2024, 5, 17, 18, 30)
    assert rows[0]["added"] == datetime(2026, 1, 2, tzinfo=UTC)
    assert (rows[0]["tags"], rows[0]["score"]) == (["dog", "sea"], None)


@pytest.mark.parametrize("format_", export.FORMATS)
def test_an_empty_answer_is_a_table_too(format_: export.Format) -> None:
    """With its columns where the format names them."""
    data = _whole([], format_, ("id", "caption"))
    if format_ == "csv":
        assert data == b"id,caption\r\n"
    elif format_ == "jsonl":
        assert data == b""
    else:
        assert pq.read_table(io.BytesIO(data)).column_names == ["id", "caption"]


def test_columns_are_chosen_and_checked() -> None:
    """In the order asked; one that does not exist, or twice, is named before anything is written."""
    assert _whole([_hit()], "csv", ("width", "id")) == b"width,id\r\n640,7\r\n"
    with pytest.raises(QueryError, match="no column 'colour'; there are id, sku"):
        export.written([], "csv", ("id", "colour"))
    with pytest.raises(QueryError, match="twice"):
        export.written([], "csv", ("id", "id"))


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n =1", '=HYPERLINK("http://x","y")', "＝1"],
)
def test_no_cell_is_a_formula(text: str) -> None:
    """Text that a spreadsheet would run is written with a quote before it; numbers stay numbers."""
    data = _whole([_hit(title=text, latitude=-1.5)], "csv", ("title", "latitude")).decode()
    _, row = csv.reader(io.StringIO(data, newline=""))
    assert row[0].startswith("'")
    assert (spreadsheets.plain(row[0]), row[1]) == (text, "-1.5")


@given(st.lists(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), max_size=3))
def test_csv_reads_back(titles: list[str]) -> None:
    """Whatever people write, each row has its columns and gives back the text it had; no text starts a formula."""
    hits = [_hit(title=title) for title in titles]
    data = _whole(hits, "csv", ("id", "title")).decode()
    rows = list(csv.reader(io.StringIO(data, newline="")))[1:]
    assert [spreadsheets.plain(row[1]) for row in rows] == titles
    assert not any(row[1].startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows)


@given(st.text(max_size=400))
def test_alt_text_is_short(text: str) -> None:
    """At most 125 characters, the caption itself where it fits."""
    image = _hit(captions=(CaptionView(text, "person", "you", "", ()),)).image
    alt = export.alt_text(image)
    assert alt is not None
    assert len(alt) <= 125
    assert alt == text if len(text) <= 125 else text.startswith(alt.removesuffix("…"))


def test_alt_text_is_cut_between_words() -> None:
    """Not in the middle of one; an image without a caption has none."""
    alt = export.alt_text(_hit(captions=(CaptionView("words and " * 20, "person", "you", "", ()),)).image)
    assert alt == "words and " * 11 + "words and…"
    assert export.alt_text(_hit(captions=()).image) is None


def test_whose_alt_text_it_is() -> None:
    """Right beside it: a person's, a model's that stands in, or nobody's."""
    columns = list(export.COLUMNS)
    assert columns[columns.index("alt_text") + 1] == "alt_text_by"
    model = CaptionView("a dog", "captioner", "small", "1", ())
    by = [_hit().image.captions, (model,), ()]
    rows = _whole([_hit(captions=captions) for captions in by], "jsonl", ("alt_text_by",)).splitlines()
    assert [json.loads(row)["alt_text_by"] for row in rows] == ["human", "model", None]
    table = _whole([_hit(captions=captions) for captions in by], "csv", ("id", "alt_text_by"))
    assert table.decode().splitlines() == ["id,alt_text_by", "7,human", "7,model", "7,"]
    parquet = pq.read_table(io.BytesIO(_whole([_hit()], "parquet")))
    assert parquet.column("alt_text_by").to_pylist() == ["human"]


def test_every_column_is_editable_a_fact_or_names_the_image() -> None:
    """So that an import tells of each what became of an edit."""
    naming = {"id", "sku", "path", "as_exported"}
    assert {*export.FACTS, *export.editable(_hit().image), *naming} == export.COLUMNS.keys()


def test_rows_are_read_as_they_are_written() -> None:
    """The first piece needs no more than its own rows: a whole library is never held."""
    seen = []

    def endless():
        for image_id in range(1, 10**9):
            seen.append(image_id)
            yield _hit(image_id)

    pieces = export.written(endless(), "jsonl", ("id",))
    next(pieces)
    assert len(seen) < 5_000
