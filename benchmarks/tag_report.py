"""Figures of `benchmarks.tags` as JSON and as tables to read."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.model_report import machine

SEARCH_BAR_MS, COMPLETION_BAR_MS = 100, 50


def write(report: Mapping[str, Any], folder: Path | None) -> None:
    """Print the tables; with a folder, `tags-<images>-<machine>.json` and `.md` in it."""
    report = {**report, "machine": machine()}
    tables = text(report)
    print(tables)
    if folder is None:
        return
    name = f"{report['machine']['processor']} {report['machine']['cores']} cores"
    stem = f"tags-{report['images']}-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.json").write_text(json.dumps(report, indent=1) + "\n")
    (folder / f"{stem}.md").write_text(tables)
    print(f"Written to {folder / stem}.json and .md")


def text(report: Mapping[str, Any]) -> str:
    """Searches and autocomplete beside their bars, then what is kept in memory."""
    about = report["machine"]
    stages = list(report["searches"][0]["stages_p95"])
    return "\n".join(
        [
            f"# Tags and facets over {report['images']:,} images of {report['tags_each']} tags each\n",
            f"{report['date']}. {about['processor']}, {about['cores']} cores, {about['memory_gib']} GiB,"
            f" load average {report['load_average']:.1f}. "
            f"{report['tags']:,} tags drawn by Zipf's law; times in ms. A search is timed from its text to its facets"
            " (tag, year, format, source, collection) and the 50 hits of its first page, loaded.\n",
            f"| search | p50 | p95 | p99 | slowest | processor | images found (median) | {' | '.join(stages)} |",
            f"|---|{'--:|' * (6 + len(stages))}",
            *(_search(row, stages) for row in report["searches"]),
            "\n`processor` is the mean processor time of a search, ours and Postgres's; the columns from"
            f" `{stages[0]}` on are the 95th percentile of each stage by the clock.\n",
            "| | p50 | p95 | p99 | slowest | processor | bar (p95) |\n|---|--:|--:|--:|--:|--:|--:|",
            f"| 1-3 tags with facets {_times(report['searches'][0])} | {SEARCH_BAR_MS} |",
            f"| autocomplete {_times(report['autocomplete'])} | {COMPLETION_BAR_MS} |",
            "\n| loaded | seconds | of a processor | bytes an image |\n|---|--:|--:|--:|",
            *(_loaded(row) for row in report["load"]),
            "",
        ]
    )


def _search(row: Mapping[str, Any], stages: list[str]) -> str:
    parts = " | ".join(f"{row['stages_p95'][stage]:.1f}" for stage in stages)
    return f"| {row['what']} {_times(row)} | {row['images_found']:,.0f} | {parts} |"


def _times(row: Mapping[str, Any]) -> str:
    return "".join(f"| {row[key]:.1f} " for key in ("p50", "p95", "p99", "max", "processor")).rstrip()


def _loaded(row: Mapping[str, Any]) -> str:
    times = " | ".join(f"{row[key]:.2f}" if key in row else "" for key in ("seconds", "processor_seconds"))
    return f"| {row['what']} | {times} | {row['bytes_an_image']:.1f} |"
