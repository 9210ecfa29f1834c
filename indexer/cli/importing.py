"""`sightline import`."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from indexer.catalog import jobs
from indexer.cli.indexing import SOME_REFUSED, Run, job_progress, new_job
from indexer.cli.rows import Rows
from indexer.cli.workspace import open_workspace, remarks, shown_path

Root = Annotated[
    Path | None,
    typer.Option(
        "--root", help="Where a manifest's local files lie; without it, in the manifest's own folder."
    ),
]
Refetch = Annotated[
    bool, typer.Option("--refetch", help="Fetch addresses again that are in the library already.")
]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("import")(import_)


def import_(
    file: Annotated[Path, typer.Argument(help="A table: CSV with a heading, or JSON Lines.")],
    root: Root = None,
    collection: Annotated[str, typer.Option(help="Where pictures of rows that name none are put.")] = "",
    refetch: Refetch = False,
    wait: Annotated[bool, typer.Option(help="Stay until all is fetched and looked at.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Take a manifest: a table of pictures to bring and of what is said of them.

    Columns, in any order: `url` or `path` (a picture to bring), `sku`, `id` (a picture of the library), `title`,
    `alt_text`, `tags`, `collection`. Others are passed over.

    What a table says is a person's word: no model ever overwrites it. Empty cells say nothing. A table made by
    `sightline export` can be edited in a spreadsheet and brought back: only what was edited changes.

    Exit status: 0 all well, 3 done but some rows or pictures could not be used (each is named), 1 it did not work.

    Examples: `sightline import products.csv` · `sightline export "collection:shop" -o shop.csv --columns
    sku,title,alt_text`, edit, `sightline import shop.csv`
    """
    started = time.perf_counter()
    workspace = open_workspace()
    rows = Rows(workspace, new_job(workspace, "import"), collection, refetch)
    rows.take_manifest(file, root)
    progress = (
        Run(workspace, rows.job_id, quiet=as_json).follow() if wait else job_progress(workspace, rows.job_id)
    )
    with workspace.sessions() as session:
        failures = jobs.failures(session, rows.job_id)
    if as_json:
        told = {
            "job_id": rows.job_id,
            "rows": dict(rows.counts),
            "indexed": progress.indexed,
            "pending": progress.pending,
            "failed": progress.failed,
            "seconds": round(time.perf_counter() - started, 3),
            "failures": [vars(failure) for failure in failures],
        }
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        print_outcome(rows, failures)
    if failures:
        raise typer.Exit(SOME_REFUSED)


def print_outcome(rows: Rows, failures: list[jobs.Failure]) -> None:
    """A line of counts, and one for each row or picture that could not be used."""
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(rows.counts.items()))
    remarks.print(f"Rows: {counts or 'none'}.")
    for failure in failures:
        remarks.print(
            f"  [yellow]{failure.code}[/yellow] {shown_path(failure.uri)}: {escape(failure.message)}",
            soft_wrap=True,
        )
