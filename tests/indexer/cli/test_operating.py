"""What operators type: migrations, backups, embeddings as files."""

import json
from pathlib import Path

import pytest
from sqlalchemy import text

from indexer import local_stack
from indexer.catalog import connection
from tests.conftest import own_database
from tests.indexer.cli.conftest import Run


@pytest.mark.parametrize("name", ["migrate", "backup", "restore", "embeddings"])
def test_every_command_explains_itself(run: Run, name: str) -> None:
    """With `--help`."""
    status, out, _ = run(name, "--help")
    assert status == 0
    assert f"sightline {name}" in out


def test_a_backup_goes_out_and_comes_back(
    run: Run, stack: local_stack.Endpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one database into an empty one, told as JSON; a second time it is refused in one line, if it held images."""
    with (
        own_database(stack.postgres_url, "template1") as first,
        own_database(stack.postgres_url, "template1") as second,
    ):
        monkeypatch.setenv("SIGHTLINE_POSTGRES_URL", first)
        assert run("migrate")[0] == 0
        engine = connection.connect(first)
        with engine.begin() as writing:
            writing.execute(
                text("INSERT INTO images (content_hash, bytes, state) VALUES (sha256('x'), 1, 'pending')")
            )
        engine.dispose()
        status, out, err = run("backup", tmp_path / "kept", "--json")
        assert (status, json.loads(out)) == (0, {"images": 1, "originals": 0}), err
        monkeypatch.setenv("SIGHTLINE_POSTGRES_URL", second)
        status, out, err = run("restore", tmp_path / "kept", "--json")
        assert (status, json.loads(out)["images"]) == (0, 1), err
        status, _, err = run("restore", tmp_path / "kept")
        assert status == 1
        assert "holds 1 images" in err
        assert "Traceback" not in err


def test_a_folder_without_a_backup_is_named(run: Run, tmp_path: Path) -> None:
    """And nothing is changed."""
    status, _, err = run("restore", tmp_path / "empty")
    assert status == 1
    assert "no whole backup" in err


def test_nothing_to_export_says_how_to_begin(
    run: Run, stack: local_stack.Endpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library nobody has embedded anything of."""
    with own_database(stack.postgres_url, "template1") as url:
        monkeypatch.setenv("SIGHTLINE_POSTGRES_URL", url)
        status, _, err = run("embeddings", "export", tmp_path / "bulk")
    assert status == 1
    assert "sightline index" in err
