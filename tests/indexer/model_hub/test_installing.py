"""Released checkpoints become models that load, or nothing at all is left."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer import checkpoints
from indexer.errors import CheckpointError, ConfigurationError, DownloadError, NoRoom, VocabularyError
from indexer.model_hub.downloads import Progress, silent
from indexer.model_hub.home import Home
from indexer.model_hub.installing import Installed, install, understand
from indexer.model_names import known_models
from indexer.modeling.ram import Ram
from indexer.published import MODELS, Family, SideFile
from tests import golden
from tests.conftest import ROOT
from tests.released import FAMILIES, network, write_lists, write_released


def nobody(side_file: SideFile) -> Path:
    raise DownloadError("there is no network")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "models")


@pytest.fixture
def released(tmp_path: Path) -> Callable[[Family], Path]:
    """Writes a released checkpoint with its lists beside it."""

    def write(family: Family) -> Path:
        folder = write_lists(family, tmp_path / "released")
        return write_released(family, folder / MODELS[family].file)

    return write


def brought(file: Path, home: Home, name: str | None = None, progress: Progress = silent) -> Installed:
    return install(understand(file, name), home, nobody, progress=progress)


def left(home: Home) -> list[str]:
    """What lies in the home, but for locks."""
    return sorted(path.name for path in home.folder.iterdir() if path.name != ".locks")


@pytest.mark.parametrize("family", FAMILIES)
def test_an_installed_model_is_the_network_it_was(
    family: Family, home: Home, released: Callable[[Family], Path]
) -> None:
    """Built from its folder as any model is, with every weight equal."""
    brought(released(family), home)
    expected = network(family).state_dict()
    for kind in MODELS[family].kinds:
        spec, folder = checkpoints.read_spec(kind, family, home.folder)
        built = checkpoints.build(spec, folder).state_dict()
        assert spec.version == checkpoints.weights_version((folder / "model.safetensors",))
        assert all(torch.equal(built[key], value) for key, value in expected.items() if key in built)
        assert len(built) >= len(checkpoints.unshared(network(family)))


def test_the_record_says_where_it_came_from(home: Home, released: Callable[[Family], Path]) -> None:
    """File, digest, bytes, licence, date, lists, and what was left out why."""
    file = released("tag2text")
    record = json.loads((brought(file, home).folder / "source.json").read_text())
    assert record["file"] == file.name
    assert record["bytes"] == file.stat().st_size
    assert record["licence"] == "Apache-2.0"
    assert len(record["sha256"]) == 64
    assert set(record["side_files"]) == {"tag2text_ori_tag_list.txt", "vocab.txt"}
    assert record["left_out"]["stored a second time; the copies are equal"] > 20
    assert record["not_read"] == ["optimizer", "epoch", "config"]


def test_a_checkpoint_of_ones_own_gets_a_name_of_its_own(
    home: Home, released: Callable[[Family], Path]
) -> None:
    """And is told apart from the published one."""
    installed = brought(released("ram"), home, "mine")
    assert checkpoints.read_spec("tagger", "mine", home.folder)[0].name == "mine"
    assert "not the published" in installed.remarks[0]


def test_the_bundled_models_name_is_taken(home: Home, released: Callable[[Family], Path]) -> None:
    """Two models of one name would hide each other."""
    with pytest.raises(ConfigurationError, match="'small' is the bundled model: choose another name"):
        brought(released("ram"), home, "small")


def test_the_very_same_file_again_changes_nothing(home: Home, released: Callable[[Family], Path]) -> None:
    """Another file replaces it."""
    file = released("ram")
    first = brought(file, home)
    written = (first.folder / "model.safetensors").stat().st_mtime_ns
    assert not brought(file, home).is_new
    assert (first.folder / "model.safetensors").stat().st_mtime_ns == written
    write_released("ram", file, epochs=12)
    assert brought(file, home).is_new


def test_a_file_that_does_not_fit_is_named_with_what_differs(home: Home, tmp_path: Path) -> None:
    """Before anything is written."""
    file = write_released("ram", tmp_path / "ram.pth", {"visual_encoder.norm.bias": None})
    with pytest.raises(CheckpointError, match=r"ram.pth: .*missing visual_encoder.norm.bias"):
        brought(file, home)
    assert not home.folder.exists()


def test_another_model_than_its_name_says(home: Home, released: Callable[[Family], Path]) -> None:
    """RAM given as Tag2Text."""
    with pytest.raises(CheckpointError, match="This is ram, not tag2text"):
        brought(released("ram"), home, "tag2text")
    assert not home.folder.exists()


def test_missing_lists_leave_nothing_behind(home: Home, tmp_path: Path) -> None:
    """The model is not installed without its tags."""
    with pytest.raises(DownloadError, match=r"ram_tag_list.txt"):
        brought(write_released("ram", tmp_path / "ram.pth"), home)
    assert left(home) == []


def test_word_pieces_of_another_tokenizer(home: Home, released: Callable[[Family], Path]) -> None:
    """Their number is that of the text embeddings."""
    file = released("tag2text")
    (file.parent / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n")
    with pytest.raises(VocabularyError, match=r"knows 42 word pieces.*has 4. Fetch https"):
        brought(file, home)
    assert left(home) == []


def test_a_file_limit_reached_while_writing(home: Home, released: Callable[[Family], Path]) -> None:
    """As a quota would; the message says what to do, and nothing stays."""
    checkpoint = understand(released("ram"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(NoRoom, match="SIGHTLINE_MODELS"):
            install(checkpoint, home, nobody)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left(home) == []
    assert install(checkpoint, home, nobody).is_new


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB; where one may not be mounted, the file limit above has to do."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(mount, check=False).returncode:
        pytest.skip("only root may mount a small disk to fill")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_no_disk_left(small_disk: Path, released: Callable[[Family], Path]) -> None:
    """Seen before anything is written, and when it fills up meanwhile; then it works once there is room."""
    home, file, filler = Home(small_disk / "models"), released("ram"), small_disk / "filler"
    filler.write_bytes(bytes(10 * 2**20))
    with pytest.raises(NoRoom, match="are needed"):
        brought(file, home)
    filler.unlink()

    @contextmanager
    def filling(what: str, _total: int | None) -> Iterator[Callable[[int], object]]:
        if what.startswith("Writing"):
            filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 100_000))
        yield lambda _count: None

    with pytest.raises(NoRoom, match="Free some, or set SIGHTLINE_MODELS"):
        brought(file, home, progress=filling)
    assert left(home) == []
    filler.unlink()
    assert brought(file, home).is_new


KILLED = """
import sys, time
from contextlib import contextmanager
from pathlib import Path
from indexer.model_hub.home import Home
from indexer.model_hub.installing import install, understand

@contextmanager
def slow(what, total):
    yield lambda count: None
    if what.startswith("Writing"):
        time.sleep(60)

install(understand(Path(sys.argv[1])), Home(Path(sys.argv[2])), None, progress=slow)
"""


def test_killed_in_the_middle_and_run_again(home: Home, released: Callable[[Family], Path]) -> None:
    """Kill -9 with the weights half a folder: no model is seen, and the next run tidies up and succeeds."""
    file = released("ram")
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(file), str(home.folder)], cwd=ROOT)
    partial = home.folder / ".partial-ram"
    deadline = time.monotonic() + 60
    while not (partial / "model.safetensors").exists():
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert partial.exists()
    assert known_models("tagger", home.folder) == ["small"]
    home.sweep()
    assert left(home) == []
    assert brought(file, home).is_new


def test_two_at_once_make_one_model(home: Home, released: Callable[[Family], Path]) -> None:
    """The second waits, and finds it done."""
    file, results = released("ram"), []
    quiet = Home(home.folder, lambda _text: None)
    threads = [threading.Thread(target=lambda: results.append(brought(file, quiet).is_new)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, True]
    assert left(home) == ["ram"]


@golden.needs_golden
@pytest.mark.parametrize("model", golden.MODELS)
def test_shrunken_official_checkpoints(model: golden.Model, home: Home, tmp_path: Path) -> None:
    """Written by the rule, imported, built: the logits are what the official code answered."""
    file = golden.write_checkpoint(model, tmp_path / f"{model}.pth", tiny=True)
    lists = golden.GOLDEN if model == "tag2text" else golden.TINY
    installed = install(understand(file), home, nobody, [lists / "data"])
    assert installed.name == model
    spec, folder = checkpoints.read_spec("tagger", model, home.folder)
    built = checkpoints.build(spec, folder)
    with np.load(golden.TINY / f"{model}.npz") as answers, torch.inference_mode():
        expected = answers["photo.logits"].reshape(-1)
        pixels = golden.pixels("photo")
        logits = built(pixels) if isinstance(built, Ram) else built.tag_logits(built.visual_encoder(pixels))  # type: ignore[operator]
        assert np.abs(logits[0].numpy() - expected).max() < 1e-4 * expected.std()
