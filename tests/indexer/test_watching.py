"""Watched folders: what has come and is whole, what is gone."""

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer import watching
from indexer.watching import GONE_S, SETTLED_S, News, Settling, watch


def test_a_file_is_left_alone_while_it_grows(tmp_path: Path) -> None:
    """Only when nothing has changed for a while; every change begins the while anew."""
    settling, file = Settling(), tmp_path / "a.jpg"
    file.write_bytes(b"half")
    settling.note(file, 0.0)
    assert settling.settled(SETTLED_S - 0.1) == News([], [])
    file.write_bytes(b"half and more")
    assert settling.settled(SETTLED_S) == News([], [])
    assert settling.settled(2 * SETTLED_S - 0.1) == News([], [])
    assert settling.settled(2 * SETTLED_S) == News([file], [])
    assert settling.settled(9.0) == News([], [])


def test_what_is_gone_is_held_back(tmp_path: Path) -> None:
    """Longer than what comes; one that is back by then was never gone."""
    settling, file, other = Settling(), tmp_path / "a.jpg", tmp_path / "b.jpg"
    settling.note(file, 0.0)
    settling.note(other, 0.0)
    other.write_bytes(b"back")
    settling.note(other, 0.5)
    assert GONE_S > SETTLED_S + 0.5
    assert settling.settled(GONE_S - 0.1) == News([other], [])
    assert settling.settled(GONE_S) == News([], [file])


def test_a_file_that_goes_before_it_is_whole(tmp_path: Path) -> None:
    """It never came."""
    settling, file = Settling(), tmp_path / "a.jpg"
    file.write_bytes(b"x")
    settling.note(file, 0.0)
    file.unlink()
    assert settling.settled(SETTLED_S).come == []


@pytest.fixture
def news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["list[News]"]:
    """What a real watch of the folder tells, as it tells it."""
    monkeypatch.setattr(watching, "SETTLED_S", 0.2)
    monkeypatch.setattr(watching, "GONE_S", 0.6)
    told: list[News] = []
    stopping = threading.Event()
    watched = watch([tmp_path])
    next(watched)

    def listen() -> None:
        for one in watched:
            told.append(one)
            if stopping.is_set():
                return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield told
    stopping.set()
    (tmp_path / "last").write_bytes(b"")
    thread.join(20)
    assert not thread.is_alive()


def _until(told: list[News], come: set[Path], gone: set[Path]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = {path for one in told for path in one.come}, {path for one in told for path in one.gone}
        if found == (come, gone):
            return
        time.sleep(0.05)
    raise AssertionError(told)


def test_a_folder_as_it_changes(tmp_path: Path, news: list[News]) -> None:
    """Files written, moved in with their folder, renamed and removed; hidden ones are nobody's business."""
    first = tmp_path / "a.jpg"
    first.write_bytes(b"a")
    (tmp_path / ".hidden.jpg").write_bytes(b"h")
    _until(news, {first}, set())
    made = tmp_path.parent / f"{tmp_path.name}-made"
    made.mkdir()
    (made / "b.jpg").write_bytes(b"b")
    shutil.move(made, tmp_path / "in")
    _until(news, {first, tmp_path / "in/b.jpg"}, set())
    first.rename(tmp_path / "c.jpg")
    _until(news, {first, tmp_path / "in/b.jpg", tmp_path / "c.jpg"}, {first})
