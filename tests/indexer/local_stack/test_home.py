"""The home directory: private, sure of its disk, and with sockets of its own."""

from pathlib import Path

import pytest

from indexer import local_stack
from indexer.errors import ConfigurationError
from indexer.local_stack import home as homes
from indexer.local_stack import servers
from indexer.settings import Settings


@pytest.mark.parametrize("home", ["/proc/sightline", "/dev/null/sightline"])
def test_a_home_that_cannot_be_written_is_a_configuration_error(home: str) -> None:
    """It names the folder and the setting."""
    with pytest.raises(ConfigurationError, match=r"SIGHTLINE_HOME"):
        local_stack.endpoints(Settings(home=Path(home), postgres_url=None, redis_url=None, milvus_url=None))


def test_a_full_disk_is_told_before_the_first_start(
    small_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the remaining space would not last, no half-made database is left behind."""
    monkeypatch.setattr(homes, "NEW_HOME_BYTES", 2**60)
    with pytest.raises(ConfigurationError, match="MiB left"):
        servers.postgres(small_home).ensure()
    assert not list(small_home.glob("postgres*"))


def test_a_folder_with_other_things_keeps_its_permissions(tmp_path: Path) -> None:
    """Only what is ours is closed to others: pointing the home at a shared folder breaks nobody."""
    tmp_path.chmod(0o755)
    (tmp_path / "something.txt").touch()
    homes.prepare(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    """A link put where our folder should be would have others read along."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="SIGHTLINE_HOME"):
        homes.prepare(tmp_path)


def test_a_copied_home_gets_sockets_of_its_own(tmp_path: Path) -> None:
    """What is written down about the original's sockets does not lead the copy to its servers."""
    original, copy = (homes.prepare(tmp_path / (name * 100)) for name in "ab")
    sockets = homes.socket_directory(original)
    (copy / "run" / "sockets.json").write_text((original / "run" / "sockets.json").read_text())
    others = homes.socket_directory(copy)
    assert others != sockets
    sockets.rmdir()
    assert homes.socket_directory(original) == sockets, "made again after the temporary folder was emptied"
    sockets.rmdir()
    others.rmdir()
