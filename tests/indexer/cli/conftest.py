"""Commands run in the tests' home."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer import cli, local_stack
from indexer.settings import get_settings

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    stack_home: Path,
    stack: local_stack.Endpoints,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """Runs `sightline ...` in the tests' home; exit status, standard output, standard error."""
    monkeypatch.setenv("SIGHTLINE_HOME", str(stack_home))
    get_settings.cache_clear()

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sightline", *arguments])
        try:
            cli.main()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    yield command
    get_settings.cache_clear()
