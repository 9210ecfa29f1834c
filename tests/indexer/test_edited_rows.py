"""A table's way out, an edit, and its way back: only what was edited is a word of somebody's."""

from pathlib import Path

import pytest

from indexer.catalog import annotations, hits, images
from indexer.importing import LocalFiles
from indexer.ingest import read_file
from indexer.search import export
from indexer.search.fingerprints import fact_digest
from tests.catalogue import annotation, annotators, new_file
from tests.indexer.shop_tables import Import, Sessions, exported, hit_of, shop, spoken
from tests.pictures import scene


def test_the_round_trip(sessions: Sessions, taken: Import) -> None:
    """Exported by SKU, edited in two cells, brought back: those two are a person's now, all else is as it was."""
    ids = shop(sessions, "A", "B", "C")
    table = exported(sessions, ids, "sku", "title", "alt_text", "tags")
    before = spoken(sessions)
    assert [one.status for one in taken(table)] == ["unchanged"] * 3
    assert spoken(sessions) == before
    lines = table.splitlines()
    lines[1] = "A,Red dress,a red dress on a hanger,dress"
    lines[3] = lines[3].replace("IMG C", "Coat; blue")
    assert [one.status for one in taken("\r\n".join(lines))] == ["changed", "unchanged", "changed"]
    with sessions() as session:
        a, b, c = hits.load(session, ids)
    assert (a.title, a.captions[0].text, a.captions[0].kind) == (
        "Red dress",
        "a red dress on a hanger",
        "person",
    )
    assert [caption.kind for caption in b.captions] == ["captioner"]
    assert (c.title, [caption.kind for caption in c.captions]) == ("Coat; blue", ["captioner"])
    assert {tag.kind for view in (a, b, c) for tag in view.tags} == {"tagger"}
    assert [one.status for one in taken("\r\n".join(lines))] == ["unchanged"] * 3


def test_every_column_comes_back(sessions: Sessions, taken: Import) -> None:
    """A table with all columns, its paths and ids, changes nothing; nor does one opened and saved by a spreadsheet."""
    ids = shop(sessions, "=cmd|' /C calc'!A0", "B")
    table = exported(sessions, ids)
    before = spoken(sessions)
    assert [one.status for one in taken(table)] == ["unchanged"] * 2
    saved = table.replace("\r\n", "\n").replace(",", ";").encode("utf-16")
    assert {one.status for one in taken(saved)} <= {"unchanged", "refused"}
    assert spoken(sessions) == before


@pytest.mark.parametrize("columns", [("path", "sku", "title", "alt_text", "tags"), ("path", "caption")])
def test_rows_named_by_where_they_came_from(
    sessions: Sessions, taken: Import, tmp_path: Path, columns: tuple[str, ...]
) -> None:
    """A table with paths rather than ids, of files and addresses known already: only what differs is a person's."""
    scene().save(tmp_path / "a.png")
    with sessions.begin() as session:
        file = read_file(tmp_path / "a.png", (tmp_path / "a.png").as_uri(), 10**6)
        addressed = new_file(kind="url", uri="https://a/1.jpg")
        ids = [row.image_id for row in images.register(session, [file, addressed])]
        annotations.save(
            session, [annotation(i, {"dress": 0.9}, title="IMG") for i in ids], annotators(session)
        )
    table = exported(sessions, ids, *columns)
    before = spoken(sessions)
    assert [one.status for one in taken(table, files=LocalFiles(tmp_path, 10**6))] == ["unchanged"] * 2
    assert spoken(sessions) == before


def test_what_changed_meanwhile_stays(sessions: Sessions, taken: Import) -> None:
    """A cell as it was exported is no word against what somebody has written since."""
    (image_id,) = shop(sessions, "A")
    table = exported(sessions, [image_id], "id", "sku", "title", "caption", "alt_text", "as_exported")
    taken("sku,title,alt_text\nA,Written meanwhile,written meanwhile\n")
    before = spoken(sessions)
    assert [one.status for one in taken(table)] == ["unchanged"]
    assert spoken(sessions) == before
    edited = table.replace("IMG A", "Written here")
    assert [one.status for one in taken(edited)] == ["changed"]
    with sessions() as session:
        (view,) = hits.load(session, [image_id])
    assert (view.title, view.captions[0].text) == ("Written here", "written meanwhile")


def test_empty_cells_take_nothing_back(sessions: Sessions, taken: Import) -> None:
    """Whoever clears a cell says nothing."""
    ids = shop(sessions, "A")
    taken("sku,title,alt_text\nA,Red dress,a red dress\n")
    before = spoken(sessions)
    assert [one.status for one in taken("sku,title,alt_text\nA,,\n")] == ["unchanged"]
    assert spoken(sessions) == before
    assert ids


def test_tags_are_taken_back_by_saying_so(sessions: Sessions, taken: Import) -> None:
    """A tag that was only deleted stays, and the row is told; under rejected_tags it goes, and comes back."""
    (image_id,) = shop(sessions, "A")
    taken("sku,tags\nA,red\n")

    def table() -> str:
        return exported(sessions, [image_id], "id", "tags", "rejected_tags", "as_exported")

    before = spoken(sessions)
    (left,) = taken(table().replace("red; dress", "red").replace("dress; red", "red"))
    assert (left.status, left.note) == (
        "unchanged",
        "It still shows dress: what it does not show, write under rejected_tags.",
    )
    assert spoken(sessions) == before
    (gone,) = taken(f"id,tags,rejected_tags\n{image_id},red,dress\n")
    assert (gone.status, gone.said, gone.note) == ("changed", ("rejected_tags",), None)
    assert export.COLUMNS["tags"][1](hit_of(sessions, image_id)) == ["red"]
    assert [one.status for one in taken(table())] == ["unchanged"]
    (back,) = taken(f"id,tags\n{image_id},dress\n")
    assert back.status == "changed"
    assert export.COLUMNS["rejected_tags"][1](hit_of(sessions, image_id)) == []
    (slip,) = taken(f"id,rejected_tags\n{image_id},dres\n")
    assert (slip.status, slip.note) == ("unchanged", "There is no tag 'dres' to reject.")


def test_an_emptied_cell_says_nothing_and_the_row_is_told(sessions: Sessions, taken: Import) -> None:
    """Exported with words and emptied since; not a cell that was empty when it was exported."""
    (image_id,) = shop(sessions, "A")
    taken("sku,tags,alt_text\nA,red,A red dress.\n")
    columns = ("id", "rejected_tags", "alt_text", "tags", "as_exported")
    table = exported(sessions, [image_id], *columns)
    before = spoken(sessions)
    marks = table.strip().rpartition(",")[2]
    heading = ",".join(columns)
    (csv,) = taken(f"{heading}\n{image_id},,,,{marks}\n")
    (line,) = taken(
        f'{{"id": {image_id}, "rejected_tags": [], "alt_text": "", "tags": [], "as_exported": "{marks}"}}\n'
    )
    for told in (csv, line):
        assert told.status == "unchanged"
        assert told.note == (
            "alt_text stays as it is: an empty cell says nothing. "
            "It still shows red, dress: what it does not show, write under rejected_tags."
        )
    assert [one.note for one in taken(f"id,rejected_tags,as_exported\n{image_id},,{marks}\n")] == [None]
    assert [one.note for one in taken(f"id,alt_text,tags\n{image_id},,\n")] == [None]
    assert spoken(sessions) == before


def test_what_no_table_can_change(sessions: Sessions, taken: Import) -> None:
    """Edited or emptied, it stays, and the row is told; not where a spreadsheet only wrote it its own way."""
    (image_id,) = shop(sessions, "A")
    table = exported(sessions, [image_id], "id", "title", "description", "place", "width", "as_exported")
    (heading, row) = table.splitlines()
    number, title, *_, marks = row.split(",")
    before = spoken(sessions)
    edited = f"{heading}\n{number},{title},A summer dress,,641,{marks}\n"
    ((status, note),) = [(one.status, one.note) for one in taken(edited)]
    assert (status, note) == (
        "unchanged",
        "description, width stay as they are: no table can change that.",
    )
    (line,) = taken(f'{{"id": {image_id}, "place": "Rome", "as_exported": "{marks}"}}\n')
    assert line.note == "place stays as it is: no table can change that."
    (emptied,) = taken(f"{heading}\n{number},{title},,,,{marks}\n")
    assert emptied.note == "width stays as it is: no table can change that."
    for rewritten in (row, f'{number},{title},,,"640,0",{marks}'):
        assert [one.note for one in taken(f"{heading}\n{rewritten}\n")] == [None]
    assert spoken(sessions) == before


def test_a_spreadsheets_own_numbers_and_times() -> None:
    """Tell the same; another day or number does not."""
    for exported_cell, saved in (
        ("2024-05-17T18:30:00", "2024-05-17 18:30"),
        ("52.51627777777778", "52,51627778"),
    ):
        assert fact_digest(exported_cell) == fact_digest(saved)
    assert fact_digest("2024-05-17T18:30:00") != fact_digest("2024-05-18T18:30:00")
    assert fact_digest("0.9; 0.75") != fact_digest("0.9; 0.7")


def test_a_word_of_a_person_that_another_replaces(sessions: Sessions, taken: Import) -> None:
    """Is named in the row's remark, old and new; a machine's caption and a file's title are not."""
    (image_id,) = shop(sessions, "A")
    (first,) = taken("sku,title,alt_text,tags\nA,Dress,a dress,red\n")
    assert (first.status, first.remark) == ("changed", None)
    assert [(change.column, change.new) for change in first.changes] == [
        ("title", "Dress"),
        ("alt_text", "a dress"),
        ("tags", "red"),
    ]
    assert [change.old for change in first.changes] == ["IMG A", f"a picture of number {image_id}", None]
    (second,) = taken("sku,title,alt_text,tags,rejected_tags\nA,Gown,a gown,,red\n")
    assert second.remark == (
        'It takes back a person\'s word: title "Dress" -> "Gown"; alt text "a dress" -> "a gown"; '
        'rejected tags "red under tags" -> "red".'
    )
    (third,) = taken("sku,tags,collection\nA,red,Summer\n")
    assert third.remark == 'It takes back a person\'s word: tags "red under rejected_tags" -> "red".'
    (same,) = taken("sku,title,alt_text,tags\nA,Gown,a gown,red\n")
    assert (same.status, same.remark) == ("unchanged", None)
