"""Folders that are watched: which files have come or changed and are whole by now, and which are gone.

A file that is still being copied is left alone until neither its size nor its time has changed for a while. A file that
is gone is held back for longer, so that one that was only renamed has come under its new name by then.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles
from watchfiles import Change

SETTLED_S, GONE_S = 1.0, 3.0
_LOOK_MS = 250


@dataclass(frozen=True)
class News:
    """Files that have come, or changed, and are whole; files and folders that are gone. Each in name order."""

    come: list[Path]
    gone: list[Path]


@dataclass
class Settling:
    """Holds back what is new until it is settled; times are seconds of one clock."""

    _seen: dict[Path, tuple[tuple[int, int], float]] = field(default_factory=dict)
    _gone: dict[Path, float] = field(default_factory=dict)

    def note(self, path: Path, now: float) -> None:
        """Something happened to this file or folder."""
        if path.is_dir():
            for folder, _, names in os.walk(path):  # moved here whole: its files make no noise of their own
                for name in names:
                    self.note(Path(folder, name), now)
        elif (state := _state(path)) is None:
            self._seen.pop(path, None)
            self._gone.setdefault(path, now)
        else:
            self._gone.pop(path, None)
            if self._seen.get(path, (None, 0))[0] != state:
                self._seen[path] = (state, now)

    def settled(self, now: float) -> News:
        """What has not changed for long enough, no longer held back."""
        come = []
        for path, (state, since) in list(self._seen.items()):
            if (current := _state(path)) != state:
                self.note(path, now) if current is None else self._seen.update({path: (current, now)})
            elif now - since >= SETTLED_S:
                come.append(path)
                del self._seen[path]
        gone = [path for path, since in self._gone.items() if now - since >= GONE_S]
        for path in gone:
            del self._gone[path]
        return News(sorted(come), sorted(path for path in gone if not path.exists()))


def watch(folders: Sequence[Path]) -> Iterator[News]:
    """News of these folders and all below them, for ever; the first, empty, once they are watched.

    Ends with KeyboardInterrupt.
    """
    settling = Settling()
    notices = watchfiles.watch(
        *folders, watch_filter=_shown, debounce=_LOOK_MS, rust_timeout=_LOOK_MS, yield_on_timeout=True
    )
    for number, changes in enumerate(notices):
        now = time.monotonic()
        for _, name in changes:
            settling.note(Path(name), now)
        news = settling.settled(now)
        if number == 0 or news.come or news.gone:
            yield news


def _shown(_: Change, name: str) -> bool:
    """Whether a file is none of the hidden ones."""
    return not Path(name).name.startswith(".")


def _state(path: Path) -> tuple[int, int] | None:
    """Size and time of a file; None where there is none."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns
