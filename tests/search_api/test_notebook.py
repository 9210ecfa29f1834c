"""The analyst's notebook runs, cell by cell, against a real server."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import matplotlib as mpl
import matplotlib.pyplot as plt
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from indexer.catalog import api_keys
from workers.runtime import Runtime

NOTEBOOK = Path(__file__).parents[2] / "docs" / "analyst.ipynb"


@pytest.fixture
def analyst(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person with a server and a folder."""
    monkeypatch.setenv("SIGHTLINE_URL", address)
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")


@pytest.fixture
def key(client: TestClient, worker: Runtime, address: str) -> Iterator[str]:
    """A key that only searches; as long as the test runs the library is shut without one."""
    with worker.sessions.begin() as session:
        view, key = api_keys.create(session, "analyst", ["search"])
    _until(address, client, 401)
    yield key
    with worker.sessions.begin() as session:
        api_keys.revoke(session, view.name)
    _until(address, client, 200)


def _until(address: str, client: TestClient, status: int) -> None:
    """Both servers remember for two seconds whether there is a key."""
    deadline = time.monotonic() + 30
    while {httpx.get(f"{address}/v1/stats").status_code, client.get("/v1/stats").status_code} != {status}:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _run() -> dict[str, object]:
    """One cell after the other in one namespace, as a person would; gives that namespace."""
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    names: dict[str, object] = {}
    for number, cell in enumerate(cells):
        code = compile("".join(cell["source"]), f"analyst.ipynb, code cell {number}", "exec")
        exec(code, names)
    assert len(plt.get_fignums()) == 2
    plt.close("all")
    return names


@pytest.mark.usefixtures("analyst")
def test_every_cell_runs(library: dict[str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It draws, answers and leaves a file."""
    names = _run()
    printed = capsys.readouterr().out
    assert names["total"] == len(library)
    assert 0 < pq.read_table(tmp_path / "answer.parquet").num_rows <= len(library)
    assert " finds " in printed
    assert "^^^^^^^^^ ['collection']" in printed


@pytest.mark.usefixtures("analyst")
def test_every_cell_runs_with_a_key_that_only_searches(
    key: str, library: dict[str, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the key does not open is said, and the cells behind it still run."""
    monkeypatch.setenv("SIGHTLINE_API_KEY", key)
    assert _run()["total"] == len(library)
    printed = capsys.readouterr().out
    assert "it needs the scope 'tags.write'" in printed
    assert "^^^^^^^^^ ['collection']" in printed
