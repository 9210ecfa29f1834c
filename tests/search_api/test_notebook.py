"""The analyst's notebook runs, cell by cell, against a real server."""

import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pyarrow.parquet as pq
import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "analyst.ipynb"


def test_every_cell_runs(
    address: str,
    library: dict[str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One after the other in one namespace, as a person would; it draws, answers and leaves a file."""
    monkeypatch.setenv("SIGHTLINE_URL", address)
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    names: dict[str, object] = {}
    for number, cell in enumerate(cells):
        code = compile("".join(cell["source"]), f"analyst.ipynb, code cell {number}", "exec")
        exec(code, names)
    printed = capsys.readouterr().out
    assert names["total"] == len(library)
    assert len(plt.get_fignums()) == 2
    plt.close("all")
    assert 0 < pq.read_table(tmp_path / "answer.parquet").num_rows <= len(library)
    assert "^^^^^^^^^ ['collection']" in printed
