"""From paths to registered images."""

import os
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import images, jobs, work
from indexer.errors import ImageUnreadable
from indexer.ingest import Ingest, Tally, expand
from indexer.tables import Work


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, one of them deep, a note, a hidden file."""
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a.jpg").write_bytes(b"first")
    (tmp_path / "deep" / "er" / "b.PNG").write_bytes(b"second")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.jpg").write_bytes(b"third")
    return tmp_path


class Library:
    """Runs ingests one after another."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self.sessions = sessions
        self.woken = 0

    @property
    def queued(self) -> list[int]:
        """What workers would look at, in order."""
        with self.sessions() as session:
            return list(session.scalars(select(Work.image_id).order_by(Work.image_id)))

    def ingest(self, *paths: Path | str, retry: bool = False, dry_run: bool = False, **limits: int) -> Tally:
        with self.sessions.begin() as session:
            self.job_id = None if dry_run else jobs.create(session, "index")
        most = limits.get("max_bytes", 1000)
        ingest = Ingest(self.sessions, self.job_id, most, retry, self._wake)
        return ingest.run([str(path) for path in paths])

    def _wake(self) -> None:
        self.woken += 1

    def progress(self) -> jobs.Progress:
        with self.sessions() as session:
            progress = jobs.progress(session, self.job_id or 0)
        assert progress is not None
        return progress

    def finish(self, **failures: str) -> None:
        """Pretend a worker has been: all queued images are refused with a code, or indexed."""
        with self.sessions.begin() as session:
            for image_id in self.queued:
                if code := failures.get("code"):
                    images.fail(session, image_id, code, "no")
                else:
                    images.reset(session, [image_id], "indexed")
                    work.finish(session, [image_id], None)


@pytest.fixture
def library(sessions: sessionmaker[Session]) -> Library:
    """An empty catalogue."""
    return Library(sessions)


def test_folders_are_searched_for_pictures(library: Library, folder: Path) -> None:
    """Subfolders too, any case of the suffix; other files are counted, hidden ones left alone."""
    tally = library.ingest(folder)
    assert (tally.new, tally.ignored, tally.refused) == (2, 1, 0)
    assert len(library.queued) == library.progress().pending == 2


def test_second_run_queues_nothing(library: Library, folder: Path) -> None:
    """Unchanged files are known by size and time and not read again."""
    library.ingest(folder)
    library.finish()
    (folder / "a.jpg").chmod(0)
    tally = library.ingest(folder)
    assert (tally.new, tally.unchanged) == (0, 2)
    assert library.queued == []
    assert library.progress().done


def test_interrupted_run_is_taken_up(library: Library, folder: Path) -> None:
    """What was registered but never finished is queued again."""
    library.ingest(folder)
    first = sorted(library.queued)
    tally = library.ingest(folder)
    assert sorted(library.queued) == first
    assert (tally.new, tally.waiting) == (0, 2)


def test_changed_file_is_read_again(library: Library, folder: Path) -> None:
    """And the old content, which nothing names any more, is reported."""
    library.ingest(folder)
    old = set(library.queued)
    library.finish()
    (folder / "a.jpg").write_bytes(b"different")
    tally = library.ingest(folder)
    assert tally.new == len(library.queued) == len(tally.replaced) == 1
    assert set(tally.replaced) < old


def test_dry_run_writes_nothing(library: Library, folder: Path) -> None:
    """It only counts."""
    tally = library.ingest(folder, dry_run=True)
    assert tally.new == 2
    with library.sessions() as session:
        assert sum(images.count_by_state(session).values()) == 0


def test_refused_images_are_reported_again_but_not_tried(library: Library, folder: Path) -> None:
    """Until asked to."""
    library.ingest(folder)
    library.finish(code="broken")
    tally = library.ingest(folder)
    assert library.queued == []
    assert library.progress().failed == 2
    assert (tally.unchanged, tally.refused) == (0, 2)
    library.ingest(folder, retry=True)
    assert len(library.queued) == 2


def test_what_could_not_be_read_is_always_tried_again(library: Library, folder: Path) -> None:
    """A drive that was away comes back."""
    library.ingest(folder)
    library.finish(code="unreadable")
    library.ingest(folder)
    assert len(library.queued) == 2


def test_too_large_a_file_is_refused_unread(library: Library, folder: Path) -> None:
    """Named with its limit; its neighbour goes on."""
    (folder / "big.jpg").write_bytes(b"x" * 1001)
    tally = library.ingest(folder)
    assert tally.refused == 1
    assert len(library.queued) == 2
    with library.sessions() as session:
        [failure] = jobs.failures(session, library.job_id or 0)
    assert failure.code == "too_large"
    assert "SIGHTLINE_IMAGES__MAX_BYTES" in failure.message


def test_a_pipe_does_not_hang_the_run(library: Library, folder: Path) -> None:
    """Whatever somebody left in the folder."""
    os.mkfifo(folder / "pipe.jpg")
    tally = library.ingest(folder)
    assert tally.refused == 1
    assert len(library.queued) == 2


def test_names_that_are_not_utf8_survive(library: Library, tmp_path: Path) -> None:
    """Old archives hold such names."""
    name = os.fsdecode(b"caf\xe9.jpg")
    try:
        (tmp_path / name).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system allows only UTF-8 names")
    library.ingest(tmp_path)
    with library.sessions() as session:
        [item] = work.items(session, library.queued, None)
    assert item.sources[0][1].endswith("caf%E9.jpg")


def test_patterns_and_missing_paths(folder: Path) -> None:
    """A quoted pattern is expanded; a path that names nothing is an error before any work."""
    assert [path.name for path in expand([str(folder / "**/*.PNG")])] == ["b.PNG"]
    with pytest.raises(ImageUnreadable, match="nowhere"):
        expand([str(folder / "nowhere")])
