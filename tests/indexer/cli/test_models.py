"""`sightline models` as a person types it: what it prints, how it exits, what it leaves."""

import dataclasses
import hashlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from huggingface_hub import constants

from indexer.published import MODELS
from tests.conftest import ROOT
from tests.file_server import FileServer, serving
from tests.indexer.cli.conftest import Run
from tests.released import write_lists, write_released

RAM_PATH = f"/{MODELS['ram'].repository}/resolve/{MODELS['ram'].revision}/{MODELS['ram'].file}"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Run) -> Run:
    """Runs `sightline models ...` with a home and a hub cache of its own; status, standard output, standard error."""
    monkeypatch.setenv("SIGHTLINE_MODELS", str(home))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub cache"))
    return partial(typed, "models")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small RAM as released, its lists beside it."""
    return write_released("ram", write_lists("ram", tmp_path / "released") / "ram_swin_large_14m.pth")


@pytest.fixture
def server(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A hub on which the small one is the published RAM; its lists are already here."""
    content = checkpoint.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    small = dataclasses.replace(
        MODELS["ram"], sha256=digest, download_bytes=len(content), installed_bytes=len(content)
    )
    monkeypatch.setitem(MODELS, "ram", small)
    with serving() as served:
        served.files[RAM_PATH] = content
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        yield served


def test_the_group_teaches_by_examples(run: Run) -> None:
    """So does every command."""
    assert "sightline models pull ram" in run("--help")[1]
    for name in ("pull", "import", "info", "remove"):
        status, out, _ = run(name, "--help")
        assert status == 0
        assert f"sightline models {name} " in out


def test_the_list_fits_a_terminal_and_says_how_to_choose(run: Run) -> None:
    """Bundled and published, with licence, size and setting."""
    status, out, err = run("list")
    assert status == 0
    assert all(name in out for name in ("small", "ram_plus", "tag2text", "ViT-B-16/openai"))
    assert "SIGHTLINE_TAGGER=tag2text" in out
    assert "5.6 GB" in out
    assert "bundled, in use" in out
    assert max(map(len, out.splitlines())) <= 80
    assert "pull NAME" in err


def test_the_list_as_json(run: Run) -> None:
    """Everything the table shows, unabridged."""
    found = {entry["name"]: entry for entry in json.loads(run("list", "--json")[1])}
    assert found["small"]["in_use"]
    assert found["ram"]["state"] == "published"
    assert found["ram"]["bytes"] == MODELS["ram"].download_bytes


def test_import_info_remove(run: Run, checkpoint: Path, home: Path) -> None:
    """The life of a model."""
    status, _, err = run("import", str(checkpoint))
    assert status == 0
    assert "ram is installed: 7 tags" in err
    assert "SIGHTLINE_TAGGER=ram" in err
    _, out, _ = run("info", "ram")
    assert hashlib.sha256(checkpoint.read_bytes()).hexdigest() in out
    assert "7 tags (en, zh)" in out
    assert "0.1 to 0.7" in out
    as_json = json.loads(run("info", "ram", "--json")[1])
    assert as_json["source"]["file"] == checkpoint.name
    assert as_json["thresholds"]["never_fire"] == 0
    assert run("remove", "ram")[0] == 1
    assert (home / "ram").exists()
    status, _, err = run("remove", "ram", "--yes")
    assert status == 0
    assert "free again" in err
    assert not (home / "ram").exists()


def test_the_same_file_twice_and_another_in_its_place(run: Run, checkpoint: Path) -> None:
    """The first is said, the second wants consent."""
    run("import", str(checkpoint))
    assert "installed already from this very file" in run("import", str(checkpoint))[2]
    write_released("ram", checkpoint, epochs=12)
    status, _, err = run("import", str(checkpoint))
    assert status == 1
    assert "from another file. Replace it? Nobody is here to ask: add --yes." in err
    assert run("import", str(checkpoint), "--yes")[0] == 0


def test_a_checkpoint_of_ones_own(run: Run, checkpoint: Path, tmp_path: Path) -> None:
    """With its lists elsewhere, and a name to choose it by."""
    alone = checkpoint.rename(tmp_path / "mine.pth")
    status, _, err = run("import", str(alone), "--name", "mine", "--lists", str(checkpoint.parent))
    assert status == 0
    assert "SIGHTLINE_TAGGER=mine" in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--name", "tag2text"], "This is ram, not tag2text"),
        (["--name", "small"], "is the bundled model"),
        (["--lists", "/no/such/folder"], "/no/such/folder is no folder"),
    ],
)
def test_wrong_imports_are_one_line(run: Run, checkpoint: Path, arguments: list[str], complaint: str) -> None:
    """With the next step, exit status 1, no traceback."""
    status, out, err = run("import", str(checkpoint), *arguments)
    assert (status, out) == (1, "")
    assert complaint in err
    assert "Traceback" not in err


def test_info_of_what_is_not_here_is_how_to_bring_it(run: Run) -> None:
    """Addresses unbroken, so that they can be copied."""
    _, out, _ = run("info", "tag2text")
    model = MODELS["tag2text"]
    assert all(url in out for url in (model.urls[0], *(one.url for one in model.side_files)))
    assert model.sha256 in out
    files = json.loads(run("info", "tag2text", "--json")[1])["files"]
    assert [one["name"] for one in files] == [model.file, *(one.name for one in model.side_files)]


def test_pull_shows_licence_and_size_and_installs(
    run: Run, server: FileServer, checkpoint: Path, home: Path
) -> None:
    """A small download is not asked about."""
    for list_file in checkpoint.parent.glob("*.txt"):
        (home / ".downloads").mkdir(parents=True, exist_ok=True)
        list_file.rename(home / ".downloads" / list_file.name)
    status, _, err = run("pull", "ram")
    assert status == 0, err
    assert "Apache-2.0" in err
    assert "ram is installed" in err
    assert "installed already" in run("pull", "ram")[2]
    assert len(server.gets(RAM_PATH)) == 1


def test_a_large_download_wants_consent(run: Run, server: FileServer) -> None:
    """Licence, size and free disk are shown first; in a script --yes is the consent."""
    MODELS["ram"] = dataclasses.replace(MODELS["ram"], download_bytes=60_000_000)
    status, _, err = run("pull", "ram")
    assert status == 1
    assert err.index("Licence") < err.index("Download 60 MB? Nobody is here to ask: add --yes.")
    assert "Free" in err
    assert server.asked == []


def test_a_person_who_says_no(tmp_path: Path) -> None:
    """On a terminal one is asked, and nothing comes down."""
    terminal, theirs = pty.openpty()
    command = "import sys; sys.argv = ['sightline', 'models', 'pull', 'ram_plus']; from indexer.cli import main; main()"
    child = subprocess.Popen(
        [sys.executable, "-c", command],
        cwd=ROOT,
        env={**os.environ, "SIGHTLINE_MODELS": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        stdin=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(terminal, b"n\n")
    _, err = child.communicate(timeout=60)
    assert child.returncode == 1
    assert "Download 3.0 GB? [y/N]" in err
    assert [path for path in tmp_path.iterdir() if path.name != ".locks"] == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["pull", "rum"], "No model is called 'rum'"),
        (["pull", "ViT-B-32/nonsense"], "OpenCLIP has no 'ViT-B-32/nonsense'"),
        (["remove", "small"], "cannot be removed"),
        (["remove", "ram"], "not installed"),
        (["info", "rum"], "No model is called 'rum'"),
    ],
)
def test_what_cannot_be(run: Run, arguments: list[str], complaint: str) -> None:
    """One line each, and exit status 1."""
    status, out, err = run(*arguments)
    assert (status, out) == (1, "")
    assert complaint in err


def test_pulling_the_bundled_one_is_no_mistake(run: Run) -> None:
    """It is here."""
    status, _, err = run("pull", "small")
    assert status == 0
    assert "bundled already" in err


def test_what_a_broken_pull_left_can_be_removed(run: Run, home: Path) -> None:
    """Gigabytes under a name that is not installed."""
    (home / ".downloads").mkdir(parents=True)
    partial = home / ".downloads" / f"{MODELS['ram'].file}.partial"
    partial.write_bytes(b"x" * 1000)
    assert run("remove", "ram", "--yes")[0] == 0
    assert not partial.exists()
