"""`sightline import`."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from indexer.catalog import jobs
from indexer.cli.indexing import SOME_REFUSED, Run, job_progress, new_job
from indexer.cli.rows import Rows
from indexer.cli.workspace import open_workspace, remarks, shown_path
from indexer.outcomes import Outcome

Root = Annotated[
    Path | None,
    typer.Option(
        "--root", help="Where a manifest's local files lie; without it, in the manifest's own folder."
    ),
]
Refetch = Annotated[
    bool, typer.Option("--refetch", help="Fetch addresses again that are in the library already.")
]

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say row by row what would be done; change nothing, fetch nothing.")
]
MOST_LINES, MOST_NOTES = 1000, 50


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("import")(import_)


def import_(
    file: Annotated[Path, typer.Argument(help="A table: CSV with a heading, or JSON Lines.")],
    root: Root = None,
    collection: Annotated[str, typer.Option(help="Where pictures of rows that name none are put.")] = "",
    refetch: Refetch = False,
    dry_run: DryRun = False,
    wait: Annotated[bool, typer.Option(help="Stay until all is fetched and looked at.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Take a manifest: a table of pictures to bring and of what is said of them.

    Columns, in any order: `url` or `path` (a picture to bring), `sku`, `id` (a picture of the library), `title`,
    `alt_text`, `tags`, `rejected_tags` (it does not show them), `collection`. Others are passed over, and named.

    What a table says is a person's word: no model ever overwrites it. Empty cells say nothing. A table made by
    `sightline export` can be edited in a spreadsheet and brought back: only what was edited changes.

    Exit status: 0 all well, 3 done but some rows or pictures could not be used (each is named), 1 it did not work.

    Examples: `sightline import products.csv --dry-run` · `sightline import products.csv` ·
    `sightline export "collection:shop" -o shop.csv --columns sku,title,alt_text`, edit, `sightline import shop.csv`
    """
    started = time.perf_counter()
    workspace = open_workspace()
    rows = Rows(workspace, None if dry_run else new_job(workspace, "import"), collection, refetch)
    rows.take_manifest(file, root)
    if rows.job_id is None:
        print_plan(rows, as_json)
        return
    progress = (
        Run(workspace, rows.job_id, quiet=as_json).follow() if wait else job_progress(workspace, rows.job_id)
    )
    with workspace.sessions() as session:
        failures = jobs.failures(session, rows.job_id)
    if as_json:
        told = {
            "job_id": rows.job_id,
            "rows": dict(rows.counts),
            "unknown_columns": rows.unknown_columns,
            "indexed": progress.indexed,
            "pending": progress.pending,
            "failed": progress.failed,
            "seconds": round(time.perf_counter() - started, 3),
            "failures": [vars(failure) for failure in failures],
            "notes": [
                {"row": one.number, "sku": one.sku, "uri": one.uri, "note": one.remark}
                for one in rows.told
                if one.remark
            ],
        }
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        print_outcome(rows, failures)
    if failures:
        raise typer.Exit(SOME_REFUSED)


def print_outcome(rows: Rows, failures: list[jobs.Failure]) -> None:
    """A line of counts, and one for each row or picture of which there is something to tell; refusals last."""
    reasons = {(one.uri, one.reason) for one in rows.told}
    later = [failure for failure in failures if (failure.uri, failure.message) not in reasons]
    _print_counts(rows, f"; {len(later):,} pictures could not be used" if later else "")
    noted = [one for one in rows.told if one.status != "refused"]
    for one in noted[:MOST_NOTES]:
        _print_line(one.number, one.sku or one.uri, "note", one.remark or "")
    _print_rest(len(noted) - MOST_NOTES, "rows with a note")
    refused = [one for one in rows.told if one.status == "refused"]
    for one in refused[:MOST_LINES]:
        _print_line(one.number, one.sku, one.code or "", one.message or "")
    _print_rest(len(refused) - MOST_LINES, "refused rows")
    for failure in later:
        _print_line(rows.row_of(failure.uri), shown_path(failure.uri), failure.code, failure.message)


def _print_rest(count: int, what: str) -> None:
    if count > 0:
        remarks.print(f"  and {count:,} more {what}; --json has all.", soft_wrap=True)


def print_plan(rows: Rows, as_json: bool) -> None:
    """What would become of each row, refusals last. Raises Exit with the status the import itself would have."""
    if as_json:
        told = {"dry_run": True, "rows": dict(rows.counts), "unknown_columns": rows.unknown_columns}
        sys.stdout.write(json.dumps({**told, "outcomes": [_plain(one) for one in rows.told]}) + "\n")
    else:
        plan = Console()
        for one in rows.told:
            if one.status != "refused" and (one.status != "unchanged" or one.note):
                _print_line(one.number, one.sku, one.status, f"{_would(one)}. {one.note or ''}".strip(), plan)
        for one in rows.told:
            if one.status == "refused":
                _print_line(one.number, one.sku, one.code or "", one.message or "", plan)
        _print_counts(rows, ". Nothing was changed: this was a dry run")
    if rows.counts["refused"]:
        raise typer.Exit(SOME_REFUSED)


def _print_counts(rows: Rows, more: str) -> None:
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(rows.counts.items()))
    remarks.print(f"Rows: {counts or 'none'}{more}.", soft_wrap=True)
    if rows.unknown_columns:
        names = ", ".join(rows.unknown_columns[:20])
        why = "for they mean nothing here or no table can change them"
        remarks.print(f"Columns passed over, {why}: {escape(names)}.", soft_wrap=True)


def _print_line(
    row: int | None, what: str | None, code: str, message: str, console: Console = remarks
) -> None:
    named = ([f"Row {row}"] if row is not None else []) + ([what] if what else [])
    console.print(f"  [yellow]{code}[/yellow] {escape(', '.join(named))}: {escape(message)}", soft_wrap=True)


def _would(outcome: Outcome) -> str:
    """What the import would do with a row that it can use."""
    if outcome.status == "accepted":
        return f"{outcome.uri} would be added{_and_get(outcome)}"
    if outcome.status == "fetching":
        return f"{outcome.uri} would be fetched{_and_get(outcome)}"
    if outcome.status == "unchanged":
        return f"image {outcome.image_id} would stay as it is"
    if outcome.said == ("collection",):
        names = ", ".join(f'"{change.new}"' for change in outcome.changes)
        return f"image {outcome.image_id} would be put into the collection {names}"
    return f"image {outcome.image_id} would get {_told(outcome) or 'another ' + ', '.join(outcome.said)}"


def _and_get(outcome: Outcome) -> str:
    """What else would come of a row by which a picture is brought again."""
    return f" and get {_told(outcome)}" if any(change.old for change in outcome.changes) else ""


def _told(outcome: Outcome) -> str:
    return "; ".join(change.told(" (a person's)" if change.by_person else "") for change in outcome.changes)


def _plain(outcome: Outcome) -> dict[str, object]:
    facts = {
        name: value for name, value in vars(outcome).items() if name not in ("number", "said", "changes")
    }
    changes = [vars(change) for change in outcome.changes]
    return {"row": outcome.number, **facts, "said": list(outcome.said), "changes": changes}
