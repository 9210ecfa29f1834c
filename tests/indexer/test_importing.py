"""From the rows of a manifest to images, and a table's way out and back."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import annotations, fetches, hits, images, jobs
from indexer.errors import AddressRefused
from indexer.importing import Importer, LocalFiles, Outcome
from indexer.ingest import read_file
from indexer.manifests import read
from indexer.search import export
from indexer.search.result import Hit, Why
from indexer.tables import Caption, Fetch, Image, ImageTag, Source
from tests.catalogue import add_indexed, annotation, annotators, new_file
from tests.pictures import scene

Sessions = sessionmaker[Session]
Import = Callable[..., list[Outcome]]


@pytest.fixture
def taken(sessions: Sessions) -> Import:
    """Imports a table under a job of its own."""

    def run(table: str | bytes, **changes: object) -> list[Outcome]:
        with sessions.begin() as session:
            job_id = jobs.create(session, "import")
        importer = Importer(sessions, job_id, _check, **changes)  # type: ignore[arg-type]
        data = table.encode() if isinstance(table, str) else table
        return list(importer.run(read(io.BytesIO(data))))

    return run


def _check(url: str) -> None:
    if not url.startswith("https://"):
        raise AddressRefused("only https here")


def shop(sessions: Sessions, *skus: str) -> list[int]:
    """Indexed images of these SKUs, each with a machine's tag and caption."""
    ids = []
    with sessions.begin() as session:
        for sku in skus:
            ids.append(add_indexed(session, {"dress": 0.9}, title=f"IMG {sku}"))
            session.query(Source).filter_by(image_id=ids[-1]).update({"external_id": sku})
    return ids


def _hit(sessions: Sessions, image_id: int) -> Hit:
    with sessions() as session:
        return Hit(hits.load(session, [image_id])[0], Why())


def exported(sessions: Sessions, ids: list[int], *columns: str) -> str:
    with sessions() as session:
        found = [Hit(view, Why()) for view in hits.load(session, ids)] if ids else []
    return b"".join(export.written(found, "csv", columns)).decode()


def spoken(sessions: Sessions) -> list[tuple[object, ...]]:
    """Everything anybody says: captions, tags, titles."""
    with sessions() as session:
        captions = session.execute(select(Caption.image_id, Caption.annotator_id, Caption.text)).all()
        tags = session.execute(select(ImageTag.image_id, ImageTag.annotator_id, ImageTag.tag_id)).all()
        titles = session.execute(select(Source.image_id, Source.title, Source.external_id)).all()
    return sorted(map(str, [*captions, *tags, *titles]))  # type: ignore[arg-type]


def test_addresses_wait_to_be_fetched(sessions: Sessions, taken: Import) -> None:
    """With what is said of them; the job counts them as waiting; a bad address is refused by its row."""
    outcomes = taken("url,sku,alt_text,tags\nhttps://a/1.jpg,A,a cup,cup\nhttp://a/2.jpg,B,,\n")
    assert [(one.number, one.status, one.code) for one in outcomes] == [
        (2, "fetching", None),
        (3, "refused", "address_refused"),
    ]
    with sessions() as session:
        (waiting,) = session.scalars(select(Fetch))
        assert (waiting.url, waiting.external_id, waiting.caption, waiting.tags) == (
            "https://a/1.jpg",
            "A",
            "a cup",
            ["cup"],
        )
        progress = jobs.progress(session, waiting.job_id)
    assert progress is not None
    assert (progress.total, progress.pending, progress.failed) == (2, 1, 1)


def test_known_addresses_are_not_fetched_again(sessions: Sessions, taken: Import) -> None:
    """What the row says is recorded at once; unless it is asked for."""
    with sessions.begin() as session:
        image_id = images.register(session, [new_file(kind="url", uri="https://a/1.jpg")])[0].image_id
    table = "url,sku,title\nhttps://a/1.jpg,A,A cup\n"
    assert [(one.status, one.image_id) for one in taken(table)] == [("changed", image_id)]
    assert [one.status for one in taken(table)] == ["unchanged"]
    assert [one.status for one in taken(table, refetch=True)] == ["fetching"]
    with sessions() as session:
        (view,) = hits.load(session, [image_id])
        assert (view.title, view.sources[0].external_id) == ("A cup", "A")
        assert fetches.waiting(session) == 1


def test_local_files(sessions: Sessions, taken: Import, tmp_path: Path) -> None:
    """From the manifest's folder on: registered with what is said; again, nothing changes."""
    (tmp_path / "in").mkdir()
    scene().save(tmp_path / "in/a.png")
    files = LocalFiles(tmp_path, 10**6)
    table = "path,sku,title,alt\nin/a.png,A,A cup,a cup\nin/b.png,B,,\n"
    first, missing = taken(table, files=files)
    assert (first.status, missing.status, missing.code) == ("accepted", "refused", "unreadable")
    with sessions() as session:
        (view,) = hits.load(session, [first.image_id or 0])
        known = images.known_files(session, "path", [(tmp_path / "in/a.png").as_uri()])
    assert (view.title, view.captions[0].text, view.sources[0].external_id) == ("A cup", "a cup", "A")
    assert len(known) == 1
    before = spoken(sessions)
    taken(table, files=files)
    assert spoken(sessions) == before


@pytest.mark.parametrize(
    "path", ["../secret.png", "/etc/passwd", "in/../../secret.png", "link.png", "out/x.png"]
)
def test_files_elsewhere_are_refused(sessions: Sessions, taken: Import, tmp_path: Path, path: str) -> None:
    """Upwards, absolute, by a link to a file or a folder: only what lies below the manifest is read."""
    home = tmp_path / "home"
    home.mkdir()
    scene().save(tmp_path / "secret.png")
    (home / "link.png").symlink_to(tmp_path / "secret.png")
    (home / "out").symlink_to(tmp_path)
    (outcome,) = taken(f"path\n{path}\n", files=LocalFiles(home, 10**6))
    assert (outcome.status, outcome.code) == ("refused", "address_refused")
    assert "--root" in (outcome.message or "")


def test_no_local_files_for_strangers(taken: Import) -> None:
    """Where none are allowed, a path is refused without a look at it."""
    (outcome,) = taken("path\n/etc/passwd\n")
    assert (outcome.status, outcome.code) == ("refused", "no_paths")


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
    assert export.COLUMNS["tags"][1](_hit(sessions, image_id)) == ["red"]
    assert [one.status for one in taken(table())] == ["unchanged"]
    (back,) = taken(f"id,tags\n{image_id},dress\n")
    assert back.status == "changed"
    assert export.COLUMNS["rejected_tags"][1](_hit(sessions, image_id)) == []
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


def test_rows_that_name_nothing_or_too_much(sessions: Sessions, taken: Import) -> None:
    """Unknown SKUs, a SKU of several images, a wrong id, one image twice: each row says so, the others count."""
    first, second, third = shop(sessions, "A", "A", "B")
    table = f"""id,sku,title,caption,alt_text
,X,t,,
,A,t,,
{first},A,one,,
{second},B,t,,
999999,,t,,
,B,two,,
{third},,again,,
,Z,,,
"""
    outcomes = taken(table)
    assert [(one.number, one.status, one.code) for one in outcomes] == [
        (2, "refused", "unknown_sku"),
        (3, "refused", "bad_row"),
        (4, "changed", None),
        (5, "refused", "unknown_sku"),
        (6, "refused", "unknown_image"),
        (7, "changed", None),
        (8, "refused", "bad_row"),
        (9, "refused", "unknown_sku"),
    ]
    assert "keep the column id" in (outcomes[1].message or "")
    assert "Row 7" in (outcomes[6].message or "")
    both = taken(f"id,caption,alt_text\n{first},one,another\n")
    assert (both[0].code, "both edited" in (both[0].message or "")) == ("bad_row", True)


def test_a_refused_row_leaves_nothing_behind(sessions: Sessions, taken: Import, tmp_path: Path) -> None:
    """Of two rows with one picture, by path or by address, the first counts: its SKU stays, at a second run too."""
    for name in ("a", "b"):
        scene().save(tmp_path / f"{name}.png")
    files = LocalFiles(tmp_path, 10**6)
    table = "path,sku\na.png,A\na.png,B\nb.png,C\n"
    first, *others = taken(table, files=files)
    assert [(one.status, "Row 2" in (one.message or "")) for one in others] == [("refused", True)] * 2
    addresses = "url,sku\nhttps://a/1.jpg,D\nhttps://a/1.jpg,E\n"
    assert [one.status for one in taken(addresses)] == ["fetching", "refused"]
    with sessions.begin() as session:
        images.register(session, [new_file(kind="url", uri="https://a/1.jpg", external_id="D")])
    taken(table, files=files)
    taken(addresses)
    with sessions() as session:
        assert sorted(session.execute(select(Source.external_id, Source.image_id)).scalars()) == ["A", "D"]
        (view,) = hits.load(session, [first.image_id or 0])
    assert [source.external_id for source in view.sources] == ["A"]


def everything(sessions: Sessions) -> dict[str, int]:
    """How many rows each table has."""
    with sessions() as session:
        tables = Source.metadata.sorted_tables
        return {table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def test_a_dry_run_tells_and_changes_nothing(sessions: Sessions, taken: Import, tmp_path: Path) -> None:
    """New, changed, replaced, refused, to be fetched: told as they then happen, by row."""
    scene().save(tmp_path / "a.png")
    scene(71, 50).save(tmp_path / "b.png")
    (tmp_path / "prices.png").write_text("no picture")
    files = LocalFiles(tmp_path, 10**6)
    taken("path,sku\nb.png,B\n", files=files)
    scene(72, 50).save(tmp_path / "b.png")
    (image_id,) = shop(sessions, "K")
    table = f"""id,url,path,sku,title,alt text,tags,collection
,,a.png,A,A cup,a cup,cup,New
,,b.png,B,,,,
,,prices.png,P,,,,
,https://a/1.jpg,,W,,,,
,,,K,Another,,"dress; red",
,,,NO-SUCH,x,,,
{image_id},,,K,Yet another,,,
"""
    before = spoken(sessions), everything(sessions)
    planned: list[Outcome] = []
    importer = Importer(sessions, None, _check, files=files, wake=lambda: pytest.fail("nothing to wake for"))
    planned = list(importer.run(read(io.BytesIO(table.encode()))))
    assert (spoken(sessions), everything(sessions)) == before
    assert importer.replaced == []
    done = taken(table, files=files)
    told = [(one.number, one.status, one.code, one.said, one.note) for one in done]
    assert [(one.number, one.status, one.code, one.said, one.note) for one in planned] == told
    assert [row[1] for row in told] == [
        "accepted",
        "accepted",
        "refused",
        "fetching",
        "changed",
        "refused",
        "refused",
    ]
    assert (told[2][2], told[4][3]) == ("unsupported_format", ("title", "tags"))
    assert [one.image_id for one in planned[:5]] == [None, None, None, None, image_id]


def test_a_sku_alone_is_a_change(sessions: Sessions, taken: Import) -> None:
    """Given to a picture that is there already; the second time it is not."""
    with sessions.begin() as session:
        add_indexed(session)
        session.execute(update(Source).values(kind="url", uri="https://a/1.jpg"))
    table = "url,sku\nhttps://a/1.jpg,A\n"
    assert [(one.status, one.said) for one in taken(table)] == [("changed", ("sku",))]
    assert [(one.status, one.said) for one in taken(table)] == [("unchanged", ())]


def test_a_sku_that_several_pictures_get(sessions: Sessions, taken: Import, tmp_path: Path) -> None:
    """Nothing is wrong with that, but it may be a slip or a replaced picture, so it is told; the second time not."""
    for number, name in enumerate(("a", "b", "new")):
        scene(70 + number, 50).save(tmp_path / f"{name}.png")
    files = LocalFiles(tmp_path, 10**6)
    table = "path,sku\na.png,A\nb.png,A\n"
    first, second = taken(table, files=files)
    assert (first.note, "Row 2 has the SKU A too" in (second.note or "")) == (None, True)
    (third,) = taken("path,sku\nnew.png,A\n", files=files)
    assert "also that of id:1, id:2." in (third.note or "")
    assert {first.image_id, second.image_id} == {1, 2}
    with sessions.begin() as session:
        session.execute(update(Image).values(state="indexed"))
    assert [(one.status, one.note) for one in taken(table, files=files)] == [("unchanged", None)] * 2


def test_tags_are_added_as_a_persons(sessions: Sessions, taken: Import) -> None:
    """Those the image does not show yet; an alias beside its tag is the tag once."""
    (image_id,) = shop(sessions, "A")
    assert [one.status for one in taken("sku,tags,collection\nA,dress; Red; red,Summer\n")] == ["changed"]
    with sessions() as session:
        (view,) = hits.load(session, [image_id])
    assert {(tag.name, tag.kind) for tag in view.tags} == {("dress", "tagger"), ("red", "person")}


def test_many_rows_are_many_transactions(
    sessions: Sessions, taken: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions go on from one to the next, and workers are woken after each."""
    monkeypatch.setattr("indexer.importing.CHUNK", 3)
    woken: list[None] = []
    table = "url\n" + "".join(f"https://a/{n}.jpg\n" for n in range(8))
    outcomes = taken(table, wake=lambda: woken.append(None))
    assert [one.number for one in outcomes] == list(range(2, 10))
    assert len(woken) == 3
    with sessions() as session:
        assert sorted(session.scalars(select(Fetch.position))) == list(range(8))
