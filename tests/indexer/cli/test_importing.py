"""Manifests, addresses, collections and watched folders by command line, with a worker of its own."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.catalog import collections
from indexer.cli.watching import take
from indexer.cli.workspace import open_workspace
from indexer.local_stack import stop
from indexer.watching import News
from tests import hostile_server
from tests.hostile_server import OUTSIDE, HostileServer, picture
from tests.indexer.cli.conftest import Run
from tests.pictures import scene


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    """Pictures on the web."""
    with hostile_server.serving() as served:
        served.files["/web.png"] = picture(123)
        yield served


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A library of these tests alone, with a worker, gone at the end."""
    home = tmp_path_factory.mktemp("import-home")
    yield home
    stop(home)


@pytest.fixture
def sightline(own_home: Path, typed: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs commands in that library, to which the address outside is as good as public."""
    monkeypatch.setenv("SIGHTLINE_HOME", str(own_home))
    monkeypatch.setenv("SIGHTLINE_FETCH__NETWORKS", OUTSIDE)
    return typed


def test_a_manifest_by_command_line(sightline: Run, server: HostileServer, tmp_path: Path) -> None:
    """Files beside it and pictures on the web, searchable when it ends; what could not be used is named by row."""
    scene(81, 60).save(tmp_path / "beside.png")
    manifest = tmp_path / "shop.csv"
    manifest.write_text(
        "url;path;sku;title;alt text;collection\n"
        f"{server.url('/web.png')};;W-1;From the web;a picture from the web;Web\n"
        ";beside.png;B-1;Beside;;\n"
        ";../outside.png;X-1;;;\n"
        f"{server.url('/page')};;P-1;;;\n"
        "http://127.0.0.2/latest/meta-data;;M-1;;;\n"
        ";;NO-SUCH;Nothing;;\n",
        encoding="utf-8-sig",
    )
    status, out, _ = sightline("import", manifest, "--dry-run", "--json")
    planned = json.loads(out)
    assert (status, planned["rows"]) == (3, {"fetching": 2, "accepted": 1, "refused": 3})
    assert [one["row"] for one in planned["outcomes"]] == [2, 3, 4, 5, 6, 7]
    status, out, said = sightline("import", manifest, "--dry-run")
    assert "Row 3, B-1: beside.png would be added" in out
    assert "Nothing was changed" in said
    assert json.loads(sightline("search", "*", "--json")[1])["total"] == 0
    status, out, _ = sightline("import", manifest, "--collection", "Shop", "--json")
    told = json.loads(out)
    assert status == 3
    assert told["rows"] == {"fetching": 2, "accepted": 1, "refused": 3}
    assert (told["indexed"], told["pending"], told["failed"]) == (2, 0, 4)
    assert {failure["code"] for failure in told["failures"]} == {
        "address_refused",
        "unsupported_format",
        "unknown_sku",
    }
    assert "Row 7: No image has the SKU NO-SUCH" in told["failures"][-1]["message"]
    _, out, _ = sightline("search", "collection:Shop,Web order:added", "--json")
    assert len(json.loads(out)["hits"]) == 2
    status, _, said = sightline("import", manifest)
    assert status == 3
    assert "Row 7, NO-SUCH: No image has the SKU NO-SUCH" in said
    assert "2 unchanged" in said


def test_export_edit_import(sightline: Run, tmp_path: Path) -> None:
    """The catalogue team's way: by SKU, in a spreadsheet, and back; unedited rows stay the machines'."""
    table = tmp_path / "out.csv"
    assert sightline("export", "has:sku order:added", "-o", table, "--columns", "sku,title,alt_text")[0] == 0
    rows = list(csv.DictReader(table.open(newline="", encoding="utf-8")))
    assert [row["sku"] for row in rows if row["sku"] == "W-1"] == ["W-1"]
    for row in rows:
        if row["sku"] == "B-1":
            row["alt_text"] = "four quarters, edited"
    with table.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, rows[0], delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    status, out, _ = sightline("import", table, "--json")
    assert (status, json.loads(out)["rows"]) == (0, {"changed": 1, "unchanged": len(rows) - 1})
    sightline("export", "sku:B-1", "-o", table, "--columns", "alt_text")
    assert table.read_text().splitlines()[1] == '"four quarters, edited"'


def test_a_dry_run_says_from_what_to_what(sightline: Run, tmp_path: Path) -> None:
    """And into which collection; refused rows stand together, at the end, as they do after the import itself."""
    scene(84, 60).save(tmp_path / "c.png")
    table = tmp_path / "shop.csv"
    table.write_text("path,sku,title\nc.png,C-1,Coat\n")
    assert sightline("import", table)[0] == 0
    table.write_text(
        "sku,title,alt_text,tags,collection\nNO-1,x,,,\nC-1,Blue coat,a blue coat,blue,\nNO-2,x,,,\nB-1,,,,Winter\n"
    )
    status, out, _ = sightline("import", table, "--dry-run")
    lines = out.splitlines()
    assert status == 3
    assert [line.split(":")[0].strip() for line in lines] == [
        "changed Row 3, C-1",
        "changed Row 5, B-1",
        "unknown_sku Row 2, NO-1",
        "unknown_sku Row 4, NO-2",
    ]
    assert 'would get title "Coat" (a person\'s) -> "Blue coat"; alt text "' in lines[0]
    assert '-> "a blue coat"; tags "blue".' in lines[0]
    assert lines[1].endswith('would be put into the collection "Winter".')
    status, _, said = sightline("import", table)
    assert [line.split(":")[0].strip() for line in said.splitlines()[-3:]] == [
        "note Row 3, C-1",
        "unknown_sku Row 2, NO-1",
        "unknown_sku Row 4, NO-2",
    ]
    assert 'It takes back a person\'s word: title "Coat" -> "Blue coat".' in said


def test_many_notes_are_counted(sightline: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first are printed, how many more there are is said, and --json has all."""
    monkeypatch.setattr("indexer.cli.importing.MOST_NOTES", 1)
    table = tmp_path / "twice.csv"
    for word in ("one", "two", "three"):
        table.write_text(f"sku,title\nB-1,{word}\nC-1,{word}\n")
        status, _, said = sightline("import", table, *(["--json"] if word == "one" else []))
        assert status == 0
    assert said.count("It takes back") == 1
    assert "and 1 more rows with a note; --json has all." in said
    table.write_text("sku,title,taken\nB-1,four,2024\nC-1,four,2024\n")
    told = json.loads(sightline("import", table, "--json")[1])
    assert [(one["sku"], "four" in one["note"]) for one in told["notes"]] == [("B-1", True), ("C-1", True)]
    assert told["unknown_columns"] == ["taken"]


def test_addresses_and_collections(sightline: Run, server: HostileServer, tmp_path: Path) -> None:
    """`--url` beside files, all into one collection; one that cannot be fetched is named."""
    scene(82, 60).save(tmp_path / "mine.png")
    server.files["/second.png"] = picture(124)
    urls = ("--url", server.url("/second.png"), "--url", server.url("/status/404"))
    status, out, _ = sightline("index", tmp_path, *urls, "--collection", "Mixed", "--json")
    told = json.loads(out)
    assert (status, told["indexed"], told["failed"]) == (3, 2, 1)
    assert "404" in told["failures"][0]["message"]
    _, out, _ = sightline("search", "collection:Mixed", "--json")
    assert len(json.loads(out)["hits"]) == 2


def test_every_file_is_counted_once(sightline: Run, tmp_path: Path) -> None:
    """Whatever the job lists again: indexed now, a copy of another, as it was, or refused; never two of these."""
    for number, name in enumerate("ab"):
        scene(94 + number, 60).save(tmp_path / f"{name}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture at all")
    status, out, _ = sightline("index", tmp_path, "--collection", "Counted", "--json")
    told = json.loads(out)
    assert (status, told["indexed"], told["unchanged"], told["failed"]) == (3, 2, 0, 1)
    shutil.copyfile(tmp_path / "a.png", tmp_path / "copy.png")
    for name in ("new", "twin"):
        scene(96, 60).save(tmp_path / f"{name}.png")
    _, out, _ = sightline("index", tmp_path, "--collection", "Counted", "--json")
    told = json.loads(out)
    names = ("total", "indexed", "copies", "unchanged", "failed", "pending")
    assert [told[name] for name in names] == [4, 1, 2, 2, 1, 0]
    _, _, said = sightline("index", tmp_path, "--collection", "Counted")
    assert re.search(r"\b0 indexed in .* \(0\.0 images/s\), 5 unchanged, 1 refused, 0 waiting\.", said)
    _, _, said = sightline("index", tmp_path, "--dry-run")
    assert "Would index 0 new or changed files; 5 are unchanged, 1 cannot be used" in said


def test_a_watched_folder(
    sightline: Run, own_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes is queued and collected; a rename leaves one place, a removal leaves the image, and both are said."""
    file, renamed = tmp_path / "a.png", tmp_path / "b.png"
    scene(83, 60).save(file)
    assert sightline("status")[0] == 0  # the settings of this home are read
    workspace = open_workspace()
    take(workspace, News([file], []), "Watched")
    file.rename(renamed)
    take(workspace, News([renamed], [file]), "Watched")
    renamed.unlink()
    take(workspace, News([], [renamed]), "Watched")
    said = capsys.readouterr().err
    assert "1 new or changed" in said
    assert "a.png; it is still at another place" in said.replace("\n", "")
    assert "b.png; its image stays in the library" in said.replace("\n", "")
    with workspace.sessions() as session:
        (found,) = [one for one in collections.all_of_them(session) if one.name == "Watched"]
    assert found.images == 1
    workspace.engine.dispose()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("index",), "Name files or folders"),
        (("index", "--dry-run", "--url", "https://a/b.jpg"), "leave out --url"),
        (("index", "--watch", "/no/such/folder"), "--watch watches folders"),
        (("import", "/no/such/file.csv"), "Check that it exists"),
    ],
)
def test_slips_are_told(sightline: Run, arguments: tuple[str, ...], told: str) -> None:
    """In one line, with the next step."""
    status, _, said = sightline(*arguments)
    assert status == 1
    assert told in said
