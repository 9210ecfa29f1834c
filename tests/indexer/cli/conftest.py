"""Commands run in the tests' home."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer import cli, local_stack
from indexer.settings import get_settings
from tests.conftest import given_servers

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs `sightline ...` with the environment as it is when called; exit status, standard output and error."""

    def command(*arguments: object) -> tuple[int, str, str]:
        get_settings.cache_clear()
        monkeypatch.setattr(sys, "argv", ["sightline", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    yield command
    get_settings.cache_clear()


@pytest.fixture
def run(stack_home: Path, stack: local_stack.Endpoints, monkeypatch: pytest.MonkeyPatch, typed: Run) -> Run:
    """Runs `sightline ...` in the tests' home, on the tests' servers."""
    monkeypatch.setenv("SIGHTLINE_HOME", str(stack_home))
    for name, url in given_servers().items():
        if f"SIGHTLINE_{name}" not in os.environ:  # a test may have asked for a catalogue of its own
            monkeypatch.setenv(f"SIGHTLINE_{name}", url)
    return typed
