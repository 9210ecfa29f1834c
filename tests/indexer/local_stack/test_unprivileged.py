"""Postgres is run as an ordinary user by root, wherever the virtual environment is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.local_stack import unprivileged

NOBODY = "65534"
LOOK = "import os, sys; print(os.getuid(), os.access(sys.argv[1], os.X_OK), open(sys.argv[1]).read())"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its rights away")
def test_files_below_a_closed_folder_are_found_and_read(tmp_path: Path) -> None:
    """A clone in a folder that only root may enter still has a Postgres that finds its own programs."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.write_text("content")
    program.chmod(0o755)
    launcher = [sys.executable, "-I", "-S", unprivileged.__file__, NOBODY, NOBODY]
    command = [*launcher, os.path.realpath(sys.executable), "-I", "-S", "-c", LOOK, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [NOBODY, "True", "content"], done.stderr
