"""`sightline check`."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from indexer.cli.workspace import Workspace, open_workspace, remarks
from indexer.consistency import Checker, Report

DRIFT = 3


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(check)


def check(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Compare Postgres, which is the truth, with Milvus, which is derived from it.

    Exit status: 0 they agree, 3 they differ (and were not repaired).
    """
    workspace = open_workspace()
    store, embedder_id = workspace.open_embeddings()
    checker = Checker(workspace.sessions, store, embedder_id)
    report = checker.check()
    if repair and not report.agrees:
        checker.repair(report, lambda image_ids: _enqueue(workspace, image_ids))
        report = checker.check()
    _print(report, as_json)
    if not report.agrees:
        raise typer.Exit(DRIFT)


def _enqueue(workspace: Workspace, image_ids: list[int]) -> None:
    workspace.ensure_worker()
    workspace.queue.wake()


def _print(report: Report, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({**asdict(report), "agrees": report.agrees}) + "\n")
        return
    states = ", ".join(f"{count} {state}" for state, count in report.images_by_state.items() if count)
    remarks.print(f"Postgres: {states or 'no images'}.")
    remarks.print(f"Milvus: {report.images_in_milvus} images, {report.captions_in_milvus} captions.")
    for name, what in (
        ("images_missing", "images missing from Milvus"),
        ("images_surplus", "images only in Milvus"),
        ("captions_missing", "images whose caption is missing from Milvus"),
        ("captions_surplus", "images with a caption only in Milvus"),
        ("not_embedded", "indexed images without an embedding by the configured model"),
    ):
        if ids := getattr(report, name):
            remarks.print(f"[yellow]{len(ids)} {what}[/yellow]: {', '.join(map(str, ids[:10]))} ...")
    verdict = "[green]They agree.[/green]" if report.agrees else "Mend it with `sightline check --repair`."
    remarks.print(verdict)
