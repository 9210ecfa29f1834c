"""What the search benchmark found: JSON that grows by library size, tables in Markdown, and a plot for the docs.

python -m benchmarks.search_report       # tables and plot again, from the JSON
"""

import datetime
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.model_report import machine, machine_slug

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PLOT = ROOT / "docs" / "search-latency.svg"
PLANNERS = ("planner", "planner without memory")
KINDS = ("text", "image", "fused", "tags only")
BAR = 3.0  # times the better of the exact scan and the unfiltered search: no search should take longer
COLOURS = {"numpy": "#888888", "planner": "#0b6e4f", "planner without memory": "#c8553d"}

Cell = dict[str, Any]


def line(cell: Cell) -> str:
    """One cell, to be read while the rest is measured."""
    recall = "" if cell["recall"] is None else f" recall {cell['recall']:.3f}"
    return (
        f"{cell['size']:>8} {cell['kind']:>9} {100 * cell['share']:>7g}% {cell['mode']:<22}"
        f" p50 {cell['p50']:9.2f} p95 {cell['p95']:9.2f} p99 {cell['p99']:9.2f} ms{recall}"
        f" {' '.join(f'{name}:{count}' for name, count in cell['plans'].items())}"
    )


def save(cells: Sequence[Cell]) -> None:
    """Replace what was known of these sizes, and write everything again."""
    about = machine()
    path = RESULTS / f"search-{machine_slug(about)}.json"
    known = json.loads(path.read_text())["cells"] if path.exists() else []
    measured = {cell["size"] for cell in cells}
    merged = sorted([c for c in known if c["size"] not in measured] + list(cells), key=lambda c: c["size"])
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    report = {"date": today, "machine": about, "cells": merged}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
    write(path)


def write(path: Path) -> None:
    """The tables beside the JSON at `path`, and the plot."""
    report = json.loads(path.read_text())
    path.with_suffix(".md").write_text(_text(report))
    _plot(report["cells"])


def _text(report: dict[str, Any]) -> str:
    about, cells = report["machine"], report["cells"]
    parts = [
        "# Nearest-image search under filters\n",
        f"{report['date']}. {about['processor']}, {about['cores']} cores, {about['memory_gib']} GiB, shared with"
        " other work. Top 10 of 256-d embeddings, two channels (text, fused) or one (image); times in milliseconds."
        " `numpy`: an exact scan of the same vectors in the same process, by BLAS, and argpartition. Ratio: median"
        f" over the better of numpy and the unfiltered search of the same row's way; the bar is {BAR:g}.\n",
    ]
    for size in sorted({cell["size"] for cell in cells}):
        of_size = [cell for cell in cells if cell["size"] == size]
        parts.append(f"## {size:,} images, {of_size[0]['milvus']}\n")
        parts.append(_latency_table(of_size))
        parts.append("Every plan by itself against the planner, text queries: median (recall@10).\n")
        parts.append(_plans_table(of_size))
    return "\n".join(parts)


def _latency_table(cells: Sequence[Cell]) -> str:
    rows = [
        "| query | filter keeps | way | p50 | p95 | p99 | recall@10 | numpy p50 | ratio | plans |",
        "|---|--:|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for cell in cells:
        if cell["mode"] in PLANNERS:
            numpy_ms = _median(cells, cell["kind"], cell["share"], "numpy")
            beside = "" if numpy_ms is None else f"{numpy_ms:.2f}"
            ratio = "" if numpy_ms is None else f"{ratio_to_the_better(cells, cell):.1f}"
            plans = ", ".join(f"{name} {count}" for name, count in cell["plans"].items())
            rows.append(
                f"| {cell['kind']} | {100 * cell['share']:g} % | {cell['mode']} | {cell['p50']:.2f} |"
                f" {cell['p95']:.2f} | {cell['p99']:.2f} | {cell['recall']:.3f} | {beside} | {ratio} | {plans} |"
            )
    return "\n".join(rows) + "\n"


def ratio_to_the_better(cells: Sequence[Cell], cell: Cell) -> float:
    """A cell's median over the better of numpy's and its own way's without a filter."""
    found = [
        _median(cells, cell["kind"], cell["share"], "numpy"),
        _median(cells, cell["kind"], 1.0, cell["mode"]),
    ]
    return float(cell["p50"]) / min(ms for ms in found if ms is not None)


def _plans_table(cells: Sequence[Cell]) -> str:
    of_text = [cell for cell in cells if cell["kind"] == "text"]
    modes = list(dict.fromkeys(cell["mode"] for cell in of_text))
    rows = ["| filter keeps | " + " | ".join(modes) + " |", "|--:" * (len(modes) + 1) + "|"]
    for share in dict.fromkeys(cell["share"] for cell in of_text):
        by_mode = {cell["mode"]: cell for cell in of_text if cell["share"] == share}
        rows.append(
            f"| {100 * share:g} % | " + " | ".join(_short(by_mode.get(mode)) for mode in modes) + " |"
        )
    return "\n".join(rows) + "\n"


def _short(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    return f"{cell['p50']:.1f}" + ("" if cell["recall"] is None else f" ({cell['recall']:.2f})")


def _median(cells: Iterable[Cell], kind: str, share: float, mode: str) -> float | None:
    wanted = (kind, share, mode)
    found = [cell["p50"] for cell in cells if (cell["kind"], cell["share"], cell["mode"]) == wanted]
    return float(found[0]) if found else None


def _plot(cells: Sequence[Cell]) -> None:
    """Median by selectivity, a panel a library size, for text queries; tags only beside them."""
    from matplotlib.figure import Figure

    sizes = sorted({cell["size"] for cell in cells})
    figure = Figure(figsize=(4.2 * len(sizes), 3.6), layout="constrained")
    panels = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    for panel, size in zip(panels, sizes, strict=True):
        of_size = [cell for cell in cells if cell["size"] == size]
        for mode, colour in COLOURS.items():
            _curve(panel, of_size, "text", mode, colour, "numpy exact scan" if mode == "numpy" else mode)
        _curve(panel, of_size, "tags only", "planner", "#33658a", "tags only")
        panel.set(xscale="log", yscale="log", title=f"{size:,} images, {of_size[0]['milvus']}")
        panel.set_xlabel("filter keeps, %")
        panel.invert_xaxis()
        panel.grid(visible=True, alpha=0.3)
    panels[0].set_ylabel("median, ms")
    panels[0].legend(fontsize="small")
    figure.savefig(PLOT, metadata={"Date": None})


def _curve(panel: Any, cells: Sequence[Cell], kind: str, mode: str, colour: str, label: str) -> None:
    points = [(100 * c["share"], c["p50"]) for c in cells if (c["kind"], c["mode"]) == (kind, mode)]
    if points:
        panel.plot(*zip(*points, strict=True), marker="o", markersize=3, color=colour, label=label)


if __name__ == "__main__":
    for found in RESULTS.glob("search-*.json"):
        write(found)
