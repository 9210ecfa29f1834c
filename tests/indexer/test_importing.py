"""From the rows of a manifest to images."""

import io
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from indexer.catalog import fetches, hits, images, jobs
from indexer.importing import Importer, LocalFiles
from indexer.manifests import read
from indexer.outcomes import Outcome
from indexer.tables import Fetch, Image, Source
from tests.catalogue import add_indexed, new_file
from tests.indexer.shop_tables import Import, Sessions, check, shop, spoken
from tests.pictures import scene


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
    importer = Importer(sessions, None, check, files=files, wake=lambda: pytest.fail("nothing to wake for"))
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


def test_a_sku_that_differs_in_case_alone(sessions: Sessions, taken: Import, tmp_path: Path) -> None:
    """From one of the table or of the library: told, as it may be a slip; also where it names no picture."""
    (image_id,) = shop(sessions, "CL-0053")
    for number, name in enumerate(("a", "b", "c")):
        scene(70 + number, 50).save(tmp_path / f"{name}.png")
    files = LocalFiles(tmp_path, 10**6)
    table = "path,sku\na.png,AB-1\nb.png,ab-1\nc.png,cl-0053\n"
    notes = [one.note for one in taken(table, files=files)]
    assert notes == [
        None,
        "Row 2 has the SKU AB-1, which differs only in upper and lower case. Is it a slip?",
        f"id:{image_id} has the SKU CL-0053, which differs only in upper and lower case. Is it a slip?",
    ]
    (unknown,) = taken("sku,title\nCl-0053,A dress\n")
    assert f"No image has the SKU Cl-0053 (id:{image_id} has CL-0053: is it a slip?)" in (
        unknown.message or ""
    )


def test_a_sku_given_up_for_another(sessions: Sessions, taken: Import) -> None:
    """Was a person's word too."""
    with sessions.begin() as session:
        add_indexed(session)
        session.execute(update(Source).values(kind="url", uri="https://a/1.jpg", external_id="A"))
    (row,) = taken("url,sku\nhttps://a/1.jpg,B\n")
    assert (row.status, row.remark) == ("changed", 'It takes back a person\'s word: sku "A" -> "B".')
    assert [one.remark for one in taken("url,sku\nhttps://a/1.jpg,B\n")] == [None]


def test_a_caption_carried_over_and_replaced(sessions: Sessions, taken: Import, tmp_path: Path) -> None:
    """A new picture under an old one's path has its caption, until the row says another."""
    scene(71, 50).save(tmp_path / "b.png")
    files = LocalFiles(tmp_path, 10**6)
    taken("path,alt_text,title\nb.png,a cup,Cup\n", files=files)
    scene(72, 50).save(tmp_path / "b.png")
    (row,) = taken("path,alt_text,title\nb.png,a mug,Mug\n", files=files)
    assert (row.status, row.remark) == (
        "accepted",
        'It takes back a person\'s word: title "Cup" -> "Mug"; alt text "a cup" -> "a mug".',
    )


def test_an_alternative_text_longer_than_an_export_shows(sessions: Sessions, taken: Import) -> None:
    """Is kept whole and noted, once: not where nothing is said anew, nor up to what is shown."""
    shop(sessions, "A", "B")
    table = f"sku,alt_text\nA,{'long words ' * 12}\nB,{'x' * 125}\n"
    first, second = taken(table)
    assert "Its alt_text has 131 characters" in (first.note or "")
    assert second.note is None
    assert [(one.status, one.note) for one in taken(table)] == [("unchanged", None)] * 2
    (new,) = taken(f"url,alt_text\nhttps://a/9.jpg,{'long words ' * 12}\n")
    assert (new.status, "131 characters" in (new.note or "")) == ("fetching", True)


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
