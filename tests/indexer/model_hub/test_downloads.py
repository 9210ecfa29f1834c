"""Downloads against a real server: resumed, checked, refused."""

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.errors import DownloadError
from indexer.model_hub import downloads
from tests.file_server import FileServer, serving

CONTENT = bytes(range(256)) * 4096  # a megabyte
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Serves /file; nobody waits between attempts."""
    monkeypatch.setattr(downloads, "_PAUSE_S", 0.0)
    with serving() as served:
        served.files["/file"] = CONTENT
        yield served


def fetch(server: FileServer, target: Path, digest: str = DIGEST, size: int = len(CONTENT)) -> Path:
    return downloads.download(f"{server.url}/file", target, digest, size)


def test_a_file_comes_down_whole(server: FileServer, tmp_path: Path) -> None:
    """And a second call asks nobody."""
    target = fetch(server, tmp_path / "new" / "file")
    assert target.read_bytes() == CONTENT
    assert fetch(server, target) == target
    assert server.gets("/file") == [None]
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_an_interrupted_download_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    """What an earlier run brought is not fetched again."""
    (tmp_path / "file.partial").write_bytes(CONTENT[:300_000])
    assert fetch(server, tmp_path / "file").read_bytes() == CONTENT
    assert server.gets("/file") == ["bytes=300000-"]


def test_a_connection_that_breaks_is_taken_up_again(server: FileServer, tmp_path: Path) -> None:
    """As often as it takes, as long as something comes each time."""
    server.cut_after = [100_000] * 8
    assert fetch(server, tmp_path / "file").read_bytes() == CONTENT
    assert server.gets("/file")[1:3] == ["bytes=100000-", "bytes=200000-"]


def test_a_server_without_ranges_starts_over(server: FileServer, tmp_path: Path) -> None:
    """Nothing is appended to what was there."""
    server.ranges = False
    (tmp_path / "file.partial").write_bytes(b"x" * 300_000)
    assert fetch(server, tmp_path / "file").read_bytes() == CONTENT


def test_a_download_killed_before_its_last_step_is_only_checked(server: FileServer, tmp_path: Path) -> None:
    """The whole file lay there under its temporary name."""
    (tmp_path / "file.partial").write_bytes(CONTENT)
    assert fetch(server, tmp_path / "file").read_bytes() == CONTENT


def test_another_file_than_the_published_one_is_deleted(server: FileServer, tmp_path: Path) -> None:
    """The message says so and what to think of."""
    with pytest.raises(DownloadError, match=r"another file than the published one.*deleted.*Try again"):
        fetch(server, tmp_path / "file", digest="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_does_not_end_is_not_taken(server: FileServer, tmp_path: Path) -> None:
    """A quarter more than published is too much."""
    with pytest.raises(DownloadError, match=r"larger than the published 1.0 kB"):
        fetch(server, tmp_path / "file", size=1000)
    assert not (tmp_path / "file").exists()


def test_a_refusal_is_told_with_its_reason(server: FileServer, tmp_path: Path) -> None:
    """Once; asking again would not help."""
    server.statuses["/file"] = 404
    with pytest.raises(downloads.Refused, match="404"):
        fetch(server, tmp_path / "file")
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again_and_then_no_more(server: FileServer, tmp_path: Path) -> None:
    """What came stays for the next run."""
    (tmp_path / "file.partial").write_bytes(CONTENT[:300_000])
    server.statuses["/file"] = 503
    with pytest.raises(DownloadError, match="503"):
        fetch(server, tmp_path / "file")
    assert len(server.asked) == downloads.ATTEMPTS
    assert (tmp_path / "file.partial").stat().st_size == 300_000


def test_no_network_fails_at_once(tmp_path: Path) -> None:
    """A port nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file"
    with pytest.raises(DownloadError, match=r"cannot be reached: .*refused"):
        downloads.download(url, tmp_path / "file", DIGEST, 10)
