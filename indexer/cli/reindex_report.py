"""What `sightline reindex` prints: how two models differ, and how far a change is."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from indexer.catalog.models import ModelRow
from indexer.catalog.reindexes import Change
from indexer.published import Kind

SHOWN = 15


def print_report(change: Change) -> None:
    """How the answers of the new model differ from those of the one in effect."""
    out, told = Console(highlight=False), change.report
    before, after = told.get("from", {}), told.get("to", {})
    out.print(
        f"[bold]{change.kind}[/bold]: {before.get('name')} ({before.get('version')}) -> {after.get('name')}"
        f" ({after.get('version')}), {told.get('images')} images"
    )
    {"tagger": _tags, "captioner": _captions, "embedder": _searches}[change.kind](out, told)
    if change.passed_over:
        reasons = change.report["passed_over"]
        first = next(iter(reasons.values()))
        out.print(
            f"[yellow]{len(reasons)} images could not be read and stay as they are[/yellow]: {escape(first)}",
            soft_wrap=True,
        )


def _tags(out: Console, told: Mapping[str, Any]) -> None:
    table = Table("", "images", "tags", show_header=True)
    for name, label in (("gained", "gained"), ("lost", "lost")):
        counts = told.get(name, [])[:SHOWN]
        shown = ", ".join(f"{escape(tag)} {count}" for tag, count in counts)
        table.add_row(label, str(told.get(f"tags_{name}", 0)), shown or "none")
    out.print(table)


def _captions(out: Console, told: Mapping[str, Any]) -> None:
    out.print(f"{told.get('captions_changed')} of {told.get('captions_compared')} captions differ")
    for one in told.get("examples", [])[:SHOWN]:
        out.print(
            f"  image {one['image_id']}: [dim]{escape(one['before'])}[/dim] -> {escape(one['after'])}",
            soft_wrap=True,
        )


def _searches(out: Console, told: Mapping[str, Any]) -> None:
    if told.get("captions_overlap") is not None:
        out.print(
            f"Of the first ten hits, both find {told['captions_overlap']:.0%}, asked by"
            f" {told['captions_asked']} captions of the library."
        )
    saved = sorted(told.get("saved_searches", {}).items(), key=lambda item: item[1])
    for name, shared in saved[:SHOWN]:
        out.print(f"  {shared:4.0%}  saved search {escape(name)}")


def print_status(in_effect: Mapping[Kind, ModelRow], change: Change | None, left: int) -> None:
    """Which models are in effect, and how far the last change is."""
    out = Console(highlight=False)
    table = Table("", "in effect", "version", "can go back")
    for kind, row in sorted(in_effect.items()):
        table.add_row(kind, row.name, row.version, "yes" if row.previous_id is not None else "no")
    out.print(table)
    if change is not None:
        out.print(f"Last change: the {change.kind} {change.name}, {_state(change, left)}.", soft_wrap=True)


def _state(change: Change, left: int) -> str:
    if change.ended_at is not None:
        return "complete" if change.switched_at is not None else "called off"
    if change.switched_at is not None:
        return f"in effect; looking for images it lacks, {left} to go" if left else "in effect"
    if change.filled_at is not None:
        return f"ready: `sightline reindex --{change.kind} {change.name}` puts it in effect"
    return f"filling, about {left} images still to look at"
