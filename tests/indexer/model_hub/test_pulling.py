"""From an address to an installed model, against a real server in the hub's place."""

import dataclasses
import hashlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from indexer.errors import DownloadError, NoRoom
from indexer.model_hub import downloads
from indexer.model_hub.home import Home
from indexer.model_hub.installing import recorded_sha256
from indexer.model_hub.pulling import plan, pull
from indexer.published import MODELS, PublishedModel, SideFile
from tests.file_server import COMMIT, FileServer, serving
from tests.released import write_lists, write_released

PATH = "/xinyu1205/recognize_anything_model/resolve/{revision}/ram_swin_large_14m.pth"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """Stands for the hub, with an empty cache of its own."""
    monkeypatch.setattr(downloads, "_PAUSE_S", 0.0)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub cache"))
    with serving() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        yield served


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "models", lambda _text: None)


@pytest.fixture
def model(server: FileServer, tmp_path: Path) -> PublishedModel:
    """RAM, but small, and published on that server."""
    folder = write_lists("ram", tmp_path / "released")
    content = write_released("ram", folder / "ram_swin_large_14m.pth").read_bytes()
    server.files[PATH.format(revision=MODELS["ram"].revision)] = content

    def served(side_file: SideFile | None) -> SideFile:
        assert side_file is not None
        data = (folder / side_file.name).read_bytes()
        server.files[f"/lists/{side_file.name}"] = data
        digest = hashlib.sha256(data).hexdigest()
        url = f"{server.url}/lists/{side_file.name}"
        return dataclasses.replace(side_file, url=url, sha256=digest, bytes=len(data))

    ram = MODELS["ram"]
    return dataclasses.replace(
        ram,
        sha256=hashlib.sha256(content).hexdigest(),
        download_bytes=len(content),
        installed_bytes=len(content),
        tags=served(ram.tags),
        thresholds=served(ram.thresholds),
        names={language: served(side_file) for language, side_file in ram.names.items()},
    )


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The small one is the published one."""
    if "model" in request.fixturenames:
        monkeypatch.setitem(MODELS, "ram", request.getfixturevalue("model"))


def left(home: Home) -> list[str]:
    return sorted(path.name for path in home.folder.iterdir() if path.name != ".locks")


def test_a_model_is_pulled_with_its_lists(model: PublishedModel, home: Home) -> None:
    """Installed as published, and the download is gone again; the lists stay for another time."""
    installed = pull(plan(model, home))
    assert installed.is_new
    assert installed.remarks == ()
    assert recorded_sha256(installed.folder) == model.sha256
    assert not (home.downloads / model.file).exists()
    assert (home.downloads / "ram_tag_list.txt").exists()
    assert left(home) == [".downloads", "ram"]


def test_the_download_is_kept_if_asked_and_used_again(
    model: PublishedModel, home: Home, server: FileServer
) -> None:
    """A second pull, after removing the model, brings nothing."""
    pull(plan(model, home), keep_download=True)
    with home.locked("ram"):
        home.remove("ram")
    asked = len(server.asked)
    again = plan(model, home)
    assert again.to_download == 0
    assert pull(again, keep_download=True).is_new
    assert len(server.asked) == asked


def test_an_interrupted_pull_goes_on(model: PublishedModel, home: Home, server: FileServer) -> None:
    """From the byte it had come to; the plan says how much is left."""
    home.downloads.mkdir(parents=True)
    whole = next(content for path, content in server.files.items() if path.endswith(".pth"))
    (home.downloads / f"{model.file}.partial").write_bytes(whole[:40_000])
    rest = plan(model, home)
    assert rest.to_download == len(whole) - 40_000
    assert pull(rest).is_new
    assert server.gets(PATH.format(revision=model.revision)) == ["bytes=40000-"]


def test_a_revision_that_is_gone_is_no_matter(model: PublishedModel, home: Home, server: FileServer) -> None:
    """The newest one has the same file, which its digest proves."""
    server.files[PATH.format(revision="main")] = server.files.pop(PATH.format(revision=model.revision))
    assert pull(plan(model, home)).is_new


def test_another_file_under_the_same_address(model: PublishedModel, home: Home, server: FileServer) -> None:
    """Deleted, said so, nothing installed."""
    server.files[PATH.format(revision=model.revision)] = b"x" * 1000
    with pytest.raises(
        DownloadError, match=r"another file than the published one[\s\S]*sightline models import"
    ):
        pull(plan(model, home))
    assert left(home) == [".downloads"]
    assert list(home.downloads.iterdir()) == []


def test_no_network_says_how_to_bring_it_by_hand(
    model: PublishedModel, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every address, and the command to give then."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(DownloadError, match="cannot be reached") as error:
        pull(plan(model, home))
    assert all(side_file.url in str(error.value) for side_file in model.side_files)
    assert "sightline models import FOLDER/ram_swin_large_14m.pth" in str(error.value)
    assert "ram" not in left(home)


def test_offline_by_choice_asks_nobody(
    model: PublishedModel, home: Home, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HF_HUB_OFFLINE."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE is set"):
        pull(plan(model, home))
    assert server.asked == []


def test_what_another_program_brought_is_used_and_left(
    model: PublishedModel, home: Home, server: FileServer, tmp_path: Path
) -> None:
    """From the Hugging Face cache."""
    cache = tmp_path / "hub cache" / "models--xinyu1205--recognize_anything_model"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text(COMMIT)
    cached = cache / "snapshots" / COMMIT / model.file
    cached.parent.mkdir(parents=True)
    cached.write_bytes(server.files[PATH.format(revision=model.revision)])
    found = plan(model, home)
    assert (found.there, found.to_download) == (cached, 0)
    assert pull(found).is_new
    assert cached.exists()
    assert server.gets(PATH.format(revision=model.revision)) == []


def test_a_cached_file_that_is_not_the_published_one(
    model: PublishedModel, home: Home, tmp_path: Path
) -> None:
    """Whole, but altered: refused with both digests."""
    home.downloads.mkdir(parents=True)
    write_released("ram", home.downloads / model.file, epochs=99)
    with pytest.raises(DownloadError, match=r"is not the published ram_swin_large_14m.pth.*pull again"):
        pull(plan(model, home))
    assert left(home) == [".downloads"]


def test_no_room_is_seen_before_anything_comes(model: PublishedModel, home: Home, server: FileServer) -> None:
    """Download and model together."""
    with pytest.raises(NoRoom, match="are needed"):
        pull(plan(dataclasses.replace(model, download_bytes=10**17), home))
    assert server.asked == []


def test_two_pulls_at_once_bring_one_download(
    model: PublishedModel, home: Home, server: FileServer, run_together: Callable[..., list[bool]]
) -> None:
    """The second waits and finds the model there."""
    results = run_together(lambda: pull(plan(model, home)).is_new, lambda: pull(plan(model, home)).is_new)
    assert sorted(results) == [False, True]
    assert len(server.gets(PATH.format(revision=model.revision))) == 1


@pytest.fixture
def run_together() -> Callable[..., list[bool]]:
    """Runs calls in threads of their own; what they answered."""
    from concurrent.futures import ThreadPoolExecutor

    def run(*calls: Callable[[], bool]) -> list[bool]:
        with ThreadPoolExecutor(len(calls)) as pool:
            return [future.result() for future in [pool.submit(call) for call in calls]]

    return run
