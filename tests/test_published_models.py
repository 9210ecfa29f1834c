"""The released checkpoints' whole road: imported, chosen, indexed with, searched. Shrunken ones, on real servers."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.cli.workspace import worker_process
from indexer.settings import Settings
from tests.caretaker import caretaker
from tests.golden import GOLDEN, TINY, needs_golden, write_checkpoint

pytestmark = needs_golden
SIGHTLINE = [sys.executable, "-c", "from indexer.cli import main; main()"]
PHOTOS = 4


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """A home and a models' home with RAM and Tag2Text imported."""
    home = Path(tempfile.mkdtemp(prefix="sightline-published-")).resolve()
    warden = caretaker(home)
    settings = {
        "SIGHTLINE_HOME": str(home),
        "SIGHTLINE_MODELS": str(home / "models"),
        "SIGHTLINE_TAGGER": "ram",
        "SIGHTLINE_CAPTIONER": "tag2text",
        "SIGHTLINE_PRECISION": "bf16",
    }
    yield {**os.environ, **settings}
    worker_process(Settings(home=home)).stop()
    warden.communicate(timeout=90)


def sightline(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SIGHTLINE, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=110
    )


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both files as downloaded, the lists beside them."""
    folder = tmp_path_factory.mktemp("released")
    for data in (GOLDEN / "data", TINY / "data"):
        for file in data.iterdir():
            shutil.copyfile(file, folder / file.name)
    for model in ("ram", "tag2text"):
        write_checkpoint(model, folder / f"{model}.pth", tiny=True)
    return folder


@pytest.mark.timeout(300)
def test_imported_models_tag_caption_and_are_searched(
    environment: dict[str, str], released: Path, tmp_path: Path
) -> None:
    """Tags are RAM's, captions Tag2Text's, each under its version and precision; both can be searched."""
    for model in ("ram", "tag2text"):
        imported = sightline(environment, "models", "import", str(released / f"{model}.pth"))
        assert imported.returncode == 0, imported.stderr
    for file in sorted((GOLDEN / "inputs").glob("*.png"))[:PHOTOS]:
        shutil.copyfile(file, tmp_path / file.name)
    done = sightline(environment, "index", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["indexed"] == PHOTOS
    assert {"backbone", "tag", "caption", "wait"} <= set(report["stage_seconds"])

    hits = json.loads(sightline(environment, "search", "--json").stdout)["hits"]
    tags = [tag for hit in hits for tag in hit["tags"]]
    assert {tag["annotator"] for tag in tags} == {"ram"}
    assert all(tag["version"].endswith("+bf16") for tag in tags)
    assert all(tag["confidence"] > tag["threshold"] for tag in tags)
    name = tags[0]["name"]
    found = json.loads(sightline(environment, "search", "--json", f'tag:"{name}"').stdout)
    assert {hit["id"] for hit in found["hits"]} == {
        hit["id"] for hit in hits if name in [tag["name"] for tag in hit["tags"]]
    }
    caption = next(hit["caption"] for hit in hits if hit["caption"])
    assert json.loads(sightline(environment, "search", "--json", "--all", caption).stdout)["total"] == PHOTOS


def test_choices_that_cannot_work_say_why(environment: dict[str, str]) -> None:
    """A tagger cannot caption; a model that is not there can be pulled."""
    file = str(GOLDEN / "inputs" / "photo.png")
    wrong = sightline({**environment, "SIGHTLINE_CAPTIONER": "ram"}, "caption", file)
    assert wrong.returncode == 1
    assert "'ram' is a tagger and cannot be the captioner" in " ".join(wrong.stderr.split())
    unknown = sightline(environment, "reindex", "--tagger", "rum")
    assert unknown.returncode == 1
    assert "No tagger is called 'rum'. Known: ram, small, tag2text" in " ".join(unknown.stderr.split())
    missing = sightline({**environment, "SIGHTLINE_MODELS": "/nowhere"}, "caption", file)
    assert missing.returncode == 1
    assert "sightline models pull tag2text" in " ".join(missing.stderr.split())
