"""`sightline check` and `sightline delete`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from indexer import query as language
from indexer.catalog import images, models, outbox
from indexer.catalog.outbox import Embedder
from indexer.cli.indexing import progress_bar
from indexer.cli.searching import AsJson, QueryCommand, open_searcher
from indexer.cli.workspace import Workspace, open_workspace, remarks
from indexer.consistency import Checker, Kind, Report
from indexer.search.pages import pages
from indexer.task_queue import WRITES

DRIFT = 3
WHAT: dict[Kind, str] = {
    "images_missing": "images missing from Milvus",
    "images_surplus": "images only in Milvus",
    "images_changed": "images whose embedding is another one in Milvus",
    "captions_missing": "images with a caption missing from Milvus",
    "captions_surplus": "images with a caption only in Milvus",
    "captions_changed": "images with a caption whose embedding is another one in Milvus",
    "not_marked": "images in Milvus that are not noted as indexed",
    "not_embedded": "indexed images the embedder in effect has not embedded",
}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(check)
    app.command(cls=QueryCommand)(delete)


def check(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what differs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare Postgres, which is the truth, with Milvus, which is derived from it: every embedding of every image.

    Others may go on working meanwhile, and search. `--repair` puts back what Milvus has lost, up to all of it.

    Exit status: 0 they agree, 3 they differ.
    """
    workspace = open_workspace()
    with workspace.sessions() as session:
        states = images.count_by_state(session)
    reports = []
    for embedder, in_effect in _embedders(workspace):
        checker = Checker(workspace.sessions, workspace.stores, embedder, in_effect)
        with progress_bar("Comparing", sum(states.values()), as_json) as advance:
            reports.append(checker.check(repair=repair, on_progress=advance))
    if repair:
        workspace.ensure_worker()
        workspace.queue.wake()
    _print(states, reports, as_json)
    if not all(report.agrees for report in reports):
        raise typer.Exit(DRIFT)


def _embedders(workspace: Workspace) -> Sequence[tuple[Embedder, bool]]:
    """The embedder in effect and all others of which Milvus has something."""
    with workspace.sessions() as session:
        every, now = outbox.all_embedders(session), models.in_effect(session).get("embedder")
    chosen = [(embedder, now is not None and embedder.id == now.annotator_id) for embedder in every]
    return [
        (embedder, here)
        for embedder, here in chosen
        if here or workspace.stores.existing(embedder) is not None
    ]


def _print(states: dict[str, int], reports: Sequence[Report], as_json: bool) -> None:
    agrees = all(report.agrees for report in reports)
    if as_json:
        first = reports[0] if reports else Report("")
        rows = {name: getattr(first, name) for name in ("images_in_milvus", "captions_in_milvus")}
        told = [{**asdict(report), "agrees": report.agrees} for report in reports]
        whole = {"images_by_state": states, **rows, "agrees": agrees, "embedders": told}
        sys.stdout.write(json.dumps(whole) + "\n")
        return
    shown = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    remarks.print(f"Postgres: {shown or 'no images'}.")
    for report in reports:
        _print_one(report)
    verdict = "[green]They agree.[/green]" if agrees else "Mend it with `sightline check --repair`."
    remarks.print(verdict)


def _print_one(report: Report) -> None:
    remarks.print(
        f"Milvus, {report.embedder}: {report.images_in_milvus} images, {report.captions_in_milvus} captions"
        f"; {report.waiting} more on their way, {report.mended} mended."
    )
    for kind, finding in report.found.items():
        if finding.count:
            shown = ", ".join(map(str, finding.first))
            remarks.print(f"[yellow]{finding.count} {WHAT[kind]}[/yellow]: {shown} …")


def delete(
    query: Annotated[str, typer.Argument(help="Which images: everything this finds.")],
    originals: Annotated[
        bool,
        typer.Option(
            "--originals/--keep-originals", help="Also the originals kept of uploads, or not those."
        ),
    ] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take images out of the library, with everything said of them; this cannot be undone.

    Files in folders of your own are never touched: indexing their folder again brings the images back. A worker takes
    the embeddings out of Milvus, where nobody finds them any more even before that.

    Examples: `sightline delete "tag:screenshot"` · `sightline delete "origin:upload taken:..2010" --keep-originals`
    """
    asked = language.parse(query)
    workspace = open_workspace()
    found = pages(open_searcher(workspace), asked)
    in_folders = {
        hit.image.id: any(source.kind == "path" for source in hit.image.sources)
        for page in found
        for hit in page.hits
    }
    image_ids = list(in_folders)
    if image_ids and not yes:
        typer.confirm(f"Remove {len(image_ids):,} images from the library?", abort=True, err=True)
    removed = workspace.remover.remove(image_ids, originals=originals)
    if removed:
        workspace.ensure_worker()
        workspace.queue.wake(WRITES)
    if as_json:
        sys.stdout.write(json.dumps({"removed": removed}) + "\n")
        return
    remarks.print(f"{len(removed):,} images removed.")
    if any(in_folders[image_id] for image_id in removed):
        remarks.print(
            "Files of your own stay where they are: indexing their folder again brings them back.",
            soft_wrap=True,
        )
