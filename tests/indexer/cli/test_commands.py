"""Commands as a person types them: what they print, how they exit."""

import json
import socket
from pathlib import Path

import pytest

from indexer import cli
from tests.indexer.cli.conftest import Run


@pytest.mark.parametrize(
    "name",
    [
        "index",
        "search",
        "export",
        "duplicates",
        "searches",
        "tags",
        "serve",
        "check",
        "evaluate",
        "train",
        "demo",
    ],
)
def test_every_command_explains_itself(run: Run, name: str) -> None:
    """With `--help`."""
    status, out, _ = run(name, "--help")
    assert status == 0
    assert f"sightline {name}" in out


def test_a_dry_run_counts_and_changes_nothing(run: Run, tmp_path: Path) -> None:
    """As JSON, for scripts."""
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "b.txt").write_bytes(b"x")
    status, out, _ = run("index", str(tmp_path), "--dry-run", "--json")
    assert status == 0
    counts = {"new": 1, "unchanged": 0, "refused": 0, "waiting": 0, "ignored": 1}
    assert json.loads(out) == {"dry_run": True, **counts}


def test_a_missing_path_is_one_line_with_the_next_step(run: Run) -> None:
    """And exit status 1; no traceback."""
    status, out, err = run("index", "/no/such/folder")
    assert (status, out) == (1, "")
    assert "no file or folder /no/such/folder" in err
    assert "Traceback" not in err


def test_searching_by_an_unknown_tag_suggests_and_fails(run: Run) -> None:
    """It does not answer with nothing."""
    status, _, err = run("search", 'tag:"no such tag"')
    assert status == 1
    assert "sightline tags" in err


def test_browsing_answers_as_json(run: Run) -> None:
    """An empty library too."""
    status, out, _ = run("search", "--json", "--limit", "3")
    assert status == 0
    answer = json.loads(out)
    assert answer["total_is_exact"]
    assert len(answer["hits"]) == min(3, answer["total"])


def test_a_slip_in_a_query_is_pointed_at(run: Run) -> None:
    """The character, and what may have been meant."""
    status, _, err = run("search", "a dog colection:x")
    assert status == 1
    assert "at character 7" in err
    assert "collection" in err


def test_a_file_to_resemble_must_be_readable(run: Run, tmp_path: Path) -> None:
    """The name and the reason."""
    status, _, err = run("search", "--like", str(tmp_path / "gone.jpg"))
    assert status == 1
    assert "gone.jpg" in err


def test_commands_are_where_they_are_said_to_be() -> None:
    """A file is imported for the commands that are named beside it, so it has to have these and no other."""
    assert {file: tuple(cli.of_file(file)) for file in cli.COMMANDS} == dict(cli.COMMANDS)


def test_other_machines_are_not_served_without_keys(run: Run) -> None:
    """Loopback only."""
    status, _, err = run("serve", "--host", "0.0.0.0")
    assert status == 1
    assert "127.0.0.1" in err


def test_a_taken_port_is_named_with_another_to_try(run: Run) -> None:
    """Before anything is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, err = run("serve", "--port", str(port))
    assert status == 1
    assert f"--port {port + 1}" in err.replace("\n", " ")


def test_evaluating_nothing_says_what_is_wanted(run: Run, tmp_path: Path) -> None:
    """A JSON-lines file."""
    status, _, err = run("evaluate", str(tmp_path / "val.jsonl"))
    assert status == 1
    assert "val.jsonl" in err


def test_status_lists_the_private_servers(run: Run) -> None:
    """Each with its address."""
    status, out, _ = run("status")
    assert status == 0
    assert all(name in out for name in ("postgres", "redis", "milvus", "worker"))
