"""Somebody who cleans up, however those end who started something: tests, drills and benchmarks are killed at times."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Ends with its input, that is with whoever started it.
_CODE = """
import shutil, sys
from pathlib import Path
from indexer import local_stack
sys.stdin.read()
home = Path(sys.argv[1])
local_stack.stop(home)
if sys.argv[2:] == ["remove"]:
    shutil.rmtree(home)
"""


def caretaker(home: Path, *, remove: bool = True) -> "subprocess.Popen[bytes]":
    """Ends what runs for `home` once its standard input closes, even because its starter was killed.

    `remove`: the home too, all of it.
    """
    return subprocess.Popen(
        [sys.executable, "-c", _CODE, str(home), *(["remove"] if remove else [])],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )


@contextmanager
def cared_for(*homes: Path) -> Iterator[None]:
    """What runs for these homes is ended afterwards, even if we are killed meanwhile; the homes stay."""
    caretakers = [caretaker(home, remove=False) for home in homes]
    try:
        yield
    finally:
        for one in caretakers:
            one.communicate()
