"""Manifests as spreadsheets and programs write them."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalog.statements import Said
from indexer.errors import ManifestError
from indexer.manifests import BadRow, Row, read
from indexer.spreadsheets import guarded

HEADING = "url,sku,title,alt text,tags,collection\r\n"
TABLE = HEADING + 'https://a/1.jpg,A-1,"Dress, red",a red dress,"dress; Red ",Summer\r\n'
SAID = Said("A-1", "Dress, red", "a red dress", ("dress", "red"), "Summer")


def rows(content: str | bytes) -> list[Row | BadRow]:
    data = content.encode() if isinstance(content, str) else content
    return list(read(io.BytesIO(data)))


def reasons(content: str | bytes) -> list[str]:
    return [row.reason for row in rows(content) if isinstance(row, BadRow)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_as_spreadsheets_write_it(encoding: str, delimiter: str, end: str) -> None:
    """Any delimiter, encoding and line end they use; the same row."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(csv.reader(io.StringIO(TABLE)))
    (row,) = rows(out.getvalue().encode(encoding))
    assert row == Row(2, row.cells, SAID) if isinstance(row, Row) else False


def test_the_delimiter_may_be_named() -> None:
    """As Excel is told it."""
    (row,) = rows("sep=;\nsku;title\nA-1;a, b\n")
    assert isinstance(row, Row)
    assert (row.number, row.said.title) == (3, "a, b")


def test_as_programs_write_it() -> None:
    """One JSON object a line, tags as a list or as text, numbers as SKUs."""
    lines = [
        {"url": "https://a/1.jpg", "sku": "A-1", "title": "Dress, red", "alt_text": "a red dress"}
        | {"tags": ["dress", "Red"], "collection": "Summer", "price": 12},
        {"sku": 4711, "Alt-Text": "a cup"},
    ]
    first, second = rows("\n\n".join(map(json.dumps, lines)))
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert (first.number, first.said) == (1, SAID)
    assert (second.number, second.said) == (3, Said("4711", caption="a cup"))


def test_columns_in_any_order_and_spelling() -> None:
    """Unknown ones are passed over, short rows have empty cells, empty rows none."""
    found = rows("Price;ALT;Image URL;External-ID\n1;a cup;https://a/1.jpg;C\n;;;\n2;;https://a/2.jpg\n")
    assert [(row.number, row.said.sku if isinstance(row, Row) else "") for row in found] == [
        (2, "C"),
        (4, None),
    ]


def test_a_tag_shown_and_not_shown() -> None:
    """Refused: one of the two is a slip."""
    shown, both = list(read(io.BytesIO(b"sku,tags,rejected tags\nA,dog,cat; Bird\nB,dog; cat,cat\n")))
    assert isinstance(shown, Row)
    assert (shown.said.tags, shown.said.rejected) == (("dog",), ("cat", "bird"))
    assert isinstance(both, BadRow)
    assert "'cat' stands both" in both.reason


def test_unknown_columns_are_named() -> None:
    """As they are spelt, if they have a name that can be kept; a slip in a heading is then seen."""
    table = read(io.BytesIO("sku;Alt txt; Preis € ;;title\nA;;;;\n".encode()))
    assert table.passed_over == ("Alt txt", "Preis €")
    assert read(io.BytesIO(b"sku,gr\xf6sse\n")).passed_over == ("gr?sse",)
    assert read(io.BytesIO(b'{"sku": "A", "price": 1}\n')).passed_over == ()


def test_columns_that_no_table_can_change() -> None:
    """Are passed over and named, unless rows tell which of their cells were edited."""
    assert read(io.BytesIO(b"sku,Taken,alt text by,title\n")).passed_over == ("Taken", "alt text by")
    table = read(io.BytesIO(b"sku,taken,price,as_exported\nA,2024-05-17,3,x\n"))
    assert table.passed_over == ("price",)
    (row,) = table
    assert isinstance(row, Row)
    assert (row.cells.keys(), row.facts.keys()) == ({"sku", "as_exported"}, {"taken"})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("a;b\n1;2\n", "No column names pictures"),
        ("sku,sku\n", "Two columns"),
        ("caption,alt\n1,2\n", "No column"),
        (b"PK\x03\x04\0\0\0", "no text"),
    ],
)
def test_what_is_no_manifest(content: str | bytes, told: str) -> None:
    """Said at once, with what a manifest needs."""
    with pytest.raises(ManifestError, match=told):
        rows(content)


def test_bad_rows_are_named_and_cost_no_other() -> None:
    """By their number, SKU and reason; those between are read."""
    table = (
        b"sku,url,path,title,tags\n"
        b"A,https://a/1.jpg\n"
        b"B,https://a/1.jpg,x.jpg\n"
        b"C,https://a/1.jpg,,t,t,too,many\n"
        b",,,no name,\n"
        b"D,,,\xff\xfe,\n"
        b"E,,,a\0b,\n"
        b"F,,," + b"x" * 1_001 + b",\n"
        b'G,,,"two\nlines",' + b";".join(b"t%d" % n for n in range(101)) + b"\n"
        b"H,,,fine,\n"
    )
    found = rows(table)
    assert [row.number for row in found] == list(range(2, 11))
    assert [row.number for row in found if isinstance(row, Row)] == [2, 10]
    assert [row.sku for row in found if isinstance(row, BadRow)] == ["B", None, None, "D", "E", "F", "G"]
    wrong = ["both a url", "7 cells", "names no picture", "not in UTF-8", "U+0000", "1,001", "over 100 tags"]
    for reason, expected in zip(reasons(table), wrong, strict=True):
        assert expected in reason


def test_a_quotation_mark_left_open() -> None:
    """The rest of the file is one cell; it is told so rather than read as a title of megabytes."""
    told = reasons('sku,title\nA,"open\n' + "B,fine\n" * 30_000)
    assert "quotation mark" in told[0]


def test_bad_lines_of_json() -> None:
    """No JSON, no object, a value of another kind, a line without end."""
    lines = [
        '{"sku": "A"}',
        "{",
        "[1]",
        '{"sku": {"a": 1}}',
        '{"sku": "' + "x" * 2**20 + '"}',
        '{"sku": "B"}',
    ]
    found = rows("\n".join(lines))
    assert [row.number for row in found if isinstance(row, Row)] == [1, 6]
    assert [row.number for row in found if isinstance(row, BadRow)] == [2, 3, 4, 5]
    assert reasons('{"id": "x"}') == ["'x' is no id of an image."]
    assert reasons('{"sku": ' + "[" * 100_000) == ["It is not JSON: write one object on each line."]


def test_rows_are_read_as_they_are_asked_for() -> None:
    """A manifest without end is no trouble."""

    class Endless(io.RawIOBase):
        def __init__(self) -> None:
            self.given = b"sku,title\n"

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            while len(self.given) < len(buffer):
                self.given += b"A,t\n" * 1_000
            buffer[:], self.given = self.given[: len(buffer)], self.given[len(buffer) :]
            return len(buffer)

    many = iter(read(io.BufferedReader(Endless())))
    assert [next(many).number for _ in range(5_000)][-1] == 5_001


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), min_size=1, max_size=5))
def test_what_is_written_is_read(cells: list[tuple[str, str]]) -> None:
    """Whatever text, guarded as an export guards it: as it was but for spaces around it, or named as bad."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("sku", "title"), *((f"A{guarded(a)}", guarded(b)) for a, b in cells)])
    found = rows(out.getvalue().encode("utf-8", "surrogatepass"))
    assert [row.number for row in found] == list(range(2, len(cells) + 2))
    for row, (_, title) in zip(found, cells, strict=True):
        if isinstance(row, Row) and "\r" not in title:
            assert (row.said.title or "").split() == title.split()


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_refused(data: bytes) -> None:
    """Nothing else is ever raised."""
    try:
        for row in read(io.BytesIO(data)):
            assert isinstance(row, Row | BadRow)
    except ManifestError:
        pass
