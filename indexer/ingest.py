"""From paths to registered images: find files, skip what has not changed, hash the rest.

Nothing is decoded here, so half a million known files are passed over in seconds.
"""

import glob
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import images, jobs
from indexer.errors import ImageError, ImageTooLarge, ImageUnreadable
from indexer.images import content_hash
from indexer.tables import DEAD, FAILED, INDEXED

# What a folder is searched for. Some of these are refused later, with a reason: a person who sees a
# picture in the folder should be told why it is not in the library.
SUFFIXES = """
    .jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .tif .tiff .bmp .dib .avif .heic .heif .hif .jp2 .j2k
    .jxl .psd .ico .svg .ppm .pgm .pnm .tga .raw .dng .cr2 .cr3 .nef .arw .orf .rw2
"""
IMAGE_SUFFIXES = frozenset(SUFFIXES.split())
CHUNK = 500
HASH_THREADS = 4


@dataclass
class Tally:
    """What became of the files looked at, each counted once.

    `refused` counts those that cannot be used, now or, unchanged since, before; `waiting` those that are known and not
    looked at yet; `listed_again` those of the unchanged that the job lists all the same.
    """

    new: int = 0
    unchanged: int = 0
    refused: int = 0
    waiting: int = 0
    ignored: int = 0
    listed_again: int = 0
    replaced: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Ingest:
    """Registers files under one job.

    Args:
        sessions: makes sessions; each chunk is one transaction.
        job_id: the job they belong to; None for a dry run, which writes nothing.
        max_bytes: larger files are refused unread.
        retry: images refused before are tried again.
        wake: called after each commit that left work to do.
        every_file: the job also lists images that are indexed already.
    """

    sessions: sessionmaker[Session]
    job_id: int | None
    max_bytes: int
    retry: bool
    wake: Callable[[], object]
    every_file: bool = False
    tally: Tally = field(default_factory=Tally)

    def run(self, paths: Sequence[str], on_progress: Callable[[int], None] = lambda _: None) -> Tally:
        """Register every image file under `paths` (files, folders, glob patterns).

        Raises:
            ImageUnreadable: a path names nothing; before anything is registered.
        """
        roots = expand(paths)
        position = 0
        for chunk in _chunks(self._walk(roots), CHUNK):
            position += self._register(chunk, position)
            on_progress(len(chunk))
        return self.tally

    def _walk(self, roots: Iterable[Path]) -> Iterator[Path]:
        for root in roots:
            if not root.is_dir():
                yield root
                continue
            for path in _files_under(root):
                if path.suffix.lower() in IMAGE_SUFFIXES:
                    yield path
                else:
                    self.tally.ignored += 1

    def _register(self, paths: Sequence[Path], position: int) -> int:
        """Register one chunk; how many job items it added."""
        facts = {Path(os.path.abspath(path)).as_uri(): path for path in paths}  # noqa: PTH100 - drops `..`
        with self.sessions() as session:
            known = images.known_files(session, "path", list(facts))
        items: list[jobs.NewItem] = []
        unread = {}
        for uri, path in facts.items():
            if (seen := known.get(uri)) is None or not self._unchanged(path, seen):
                unread[uri] = path
            else:
                self._count(seen)
                if seen.state != INDEXED or self.every_file:
                    items.append(jobs.NewItem(uri, seen.image_id))
        files, refused = self._hash(unread)
        self.tally.new += len(files)
        self.tally.refused += len(refused)
        items += refused
        if self.job_id is not None:
            self._save(self.job_id, files, items, position)
        return len(items) + len(files)

    def _count(self, seen: images.KnownFile) -> None:
        """A file that is as it was when it was looked at last."""
        if seen.state == INDEXED:
            self.tally.unchanged += 1
            self.tally.listed_again += self.every_file
        elif seen.state in (FAILED, DEAD):
            self.tally.refused += 1
        else:
            self.tally.waiting += 1

    def _unchanged(self, path: Path, seen: images.KnownFile) -> bool:
        if seen.state in (FAILED, DEAD) and (self.retry or seen.error_code == ImageUnreadable.code):
            return False
        try:
            now = path.stat()
        except OSError:
            return False
        return (now.st_size, now.st_mtime_ns) == (seen.bytes, seen.modified_ns)

    def _hash(self, unread: dict[str, Path]) -> tuple[list[images.NewFile], list[jobs.NewItem]]:
        def one(entry: tuple[str, Path]) -> images.NewFile | jobs.NewItem:
            uri, path = entry
            try:
                return read_file(path, uri, self.max_bytes)
            except ImageError as error:
                return jobs.NewItem(uri, None, error.code, str(error))

        with ThreadPoolExecutor(HASH_THREADS) as threads:
            outcomes = list(threads.map(one, unread.items()))
        files = [outcome for outcome in outcomes if isinstance(outcome, images.NewFile)]
        return files, [outcome for outcome in outcomes if isinstance(outcome, jobs.NewItem)]

    def _save(
        self, job_id: int, files: Sequence[images.NewFile], items: list[jobs.NewItem], position: int
    ) -> None:
        with self.sessions.begin() as session:
            registered = images.register(session, files, job_id)
            again = [item.image_id for item in items if item.image_id is not None]
            again += [row.image_id for row in registered]
            again = images.failed(session, again)
            if not self.retry:
                again = images.unreadable(session, again)
            images.look_again(session, again, job_id)
            found = [jobs.NewItem(f.uri, r.image_id) for f, r in zip(files, registered, strict=True)]
            jobs.add_items(session, job_id, [*items, *found], position)
        self.tally.replaced += [row.replaced for row in registered if row.replaced is not None]
        if files or items:
            self.wake()


def expand(paths: Sequence[str]) -> list[Path]:
    """Paths and glob patterns (`**` included) as existing paths.

    Raises:
        ImageUnreadable: a path or pattern names nothing.
    """
    found: list[Path] = []
    for text in paths:
        path = Path(text).expanduser()
        if path.exists():
            found.append(path)
        elif glob.has_magic(text) and (matches := sorted(glob.glob(str(path), recursive=True))):  # noqa: PTH207
            found += [Path(match) for match in matches]
        else:
            raise ImageUnreadable(
                f"There is no file or folder {text}. Check the spelling, or quote the pattern."
            )
    return found


def read_file(path: Path, uri: str, max_bytes: int) -> images.NewFile:
    """A regular file's hash, size and time.

    Raises:
        ImageUnreadable: not a regular file, or it cannot be read.
        ImageTooLarge: more than `max_bytes`.
    """
    try:
        # Without O_NONBLOCK, opening a pipe somebody left in the folder would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise ImageUnreadable(f"{path} is not a regular file.")
            if facts.st_size > max_bytes:
                raise ImageTooLarge(
                    f"{path} has {facts.st_size:,} bytes; the limit is {max_bytes:,}"
                    " (SIGHTLINE_IMAGES__MAX_BYTES)."
                )
            digest = content_hash(file.read(max_bytes + 1))
    except OSError as error:
        raise ImageUnreadable(
            f"{path} cannot be read: {error.strerror or error}. Check that it exists and may be read."
        ) from error
    return images.NewFile(digest, facts.st_size, "path", uri, facts.st_mtime_ns)


def _files_under(root: Path) -> Iterator[Path]:
    """Files of a folder and its subfolders in name order; hidden ones, and links to folders, are left out."""
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _chunks(paths: Iterator[Path], size: int) -> Iterator[list[Path]]:
    chunk: list[Path] = []
    for path in paths:
        chunk.append(path)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
