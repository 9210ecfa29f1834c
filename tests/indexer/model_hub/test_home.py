"""The folder of installed models: all or nothing, whoever dies or waits."""

import errno
import threading
from pathlib import Path

import pytest

from indexer.errors import ConfigurationError, NoRoom
from indexer.model_hub.home import Home, is_full, shown_bytes


def write(home: Home, name: str, content: str) -> None:
    with home.locked(name), home.writing(name, 10) as folder:
        (folder / "weights").write_text(content)


def interrupted(home: Home, by: BaseException) -> None:
    with home.locked("ram"), home.writing("ram", 10) as folder:
        (folder / "weights").write_text("half")
        raise by


def names(home: Home) -> list[str]:
    return sorted(path.name for path in home.folder.iterdir() if path.name != ".locks")


def test_a_model_appears_whole_and_replaces_the_one_before(tmp_path: Path) -> None:
    """Nothing else stays in the home."""
    home = Home(tmp_path / "new" / "models")
    write(home, "ram", "first")
    write(home, "ram", "second")
    assert (home.of("ram") / "weights").read_text() == "second"
    assert names(home) == ["ram"]


@pytest.mark.parametrize("interruption", [ValueError("wrong"), KeyboardInterrupt()])
def test_a_failure_leaves_the_model_before(tmp_path: Path, interruption: BaseException) -> None:
    """And no trace of the one being written; Ctrl-C too."""
    home = Home(tmp_path)
    write(home, "ram", "first")
    with pytest.raises(type(interruption)):
        interrupted(home, interruption)
    assert (home.of("ram") / "weights").read_text() == "first"
    assert names(home) == ["ram"]


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    """The half-written one goes, the one it had just moved aside comes back."""
    home = Home(tmp_path)
    write(home, "ram", "good")
    home.of("ram").rename(tmp_path / ".replaced-ram")
    (tmp_path / ".partial-ram").mkdir()
    (tmp_path / ".partial-tag2text").mkdir()
    home.sweep()
    assert names(home) == ["ram"]
    assert (home.of("ram") / "weights").read_text() == "good"


def test_what_is_being_written_is_not_swept(tmp_path: Path) -> None:
    """Its lock is held."""
    home = Home(tmp_path)
    with home.locked("ram"), home.writing("ram", 10) as folder:
        Home(tmp_path).sweep()
        (folder / "weights").write_text("still here")
    assert (home.of("ram") / "weights").read_text() == "still here"


def test_the_second_writer_waits_and_says_so(tmp_path: Path) -> None:
    """Until the first one is done."""
    said: list[str] = []
    told = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        told.set()

    home, second = Home(tmp_path), Home(tmp_path, say)
    with home.locked("ram"):
        waiting = threading.Thread(target=write, args=(second, "ram", "second"))
        waiting.start()
        assert told.wait(10)
        assert not second.of("ram").exists()
    waiting.join()
    assert (home.of("ram") / "weights").read_text() == "second"
    assert "at work on ram" in said[0]


def test_removing_takes_the_folder_away(tmp_path: Path) -> None:
    """Whole."""
    home = Home(tmp_path)
    write(home, "ram", "good")
    with home.locked("ram"):
        home.remove("ram")
    assert names(home) == []


def test_more_than_the_disk_holds(tmp_path: Path) -> None:
    """How much is needed, how much there is, where else it could go."""
    with pytest.raises(NoRoom, match=r"1000000000 GB are needed, .* are free.*SIGHTLINE_MODELS"):
        Home(tmp_path).check_room(10**18)


def test_a_disk_that_fills_up_meanwhile(tmp_path: Path) -> None:
    """Whoever notices, in whichever words."""
    home = Home(tmp_path)
    with pytest.raises(NoRoom, match="Nothing was left behind"), home.locked("ram"), home.writing("ram", 10):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names(home) == []
    assert is_full(RuntimeError("I/O error: No space left on device (os error 28)"))
    assert not is_full(OSError(errno.EACCES, "Permission denied"))


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    """The setting to change is named."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match="set SIGHTLINE_MODELS"):
        Home(tmp_path / "file" / "models").check_room(1)


@pytest.mark.parametrize("name", ["", "../ram", ".hidden", "Ram", "a b", "x" * 65])
def test_names_that_are_no_folder_names(tmp_path: Path, name: str) -> None:
    """Refused before anything is touched."""
    with pytest.raises(ConfigurationError, match="cannot be a model's name"):
        Home(tmp_path).of(name)


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 bytes"), (999, "999 bytes"), (5_625_634_877, "5.6 GB"), (42e6, "42 MB")]
)
def test_sizes_as_people_read_them(count: float, shown: str) -> None:
    """Two figures are enough."""
    assert shown_bytes(count) == shown
