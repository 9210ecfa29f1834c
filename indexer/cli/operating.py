"""`sightline migrate`, `backup` and `restore`: what operators run beside the library."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from indexer import backup as backups
from indexer.catalog import connection
from indexer.cli.workspace import open_workspace, remarks
from indexer.local_stack import endpoints
from indexer.settings import get_settings
from indexer.storage import Storage

DAMAGED = 3
Folder = Annotated[
    Path, typer.Argument(help="The folder of the backup.", file_okay=False, show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (migrate, backup, restore):
        app.command()(command)


def migrate() -> None:
    """Bring the catalogue's schema to this version's, and end; running it again changes nothing.

    Every other command does so too when it starts. Where many processes start at once, run this first.
    """
    connection.migrate(endpoints(get_settings()).postgres_url)
    remarks.print("The catalogue's schema is this version's.")


def backup(
    folder: Folder,
    originals: Annotated[
        bool, typer.Option("--originals/--no-originals", help="Copy stored originals and thumbnails too.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Write everything Postgres holds, and what is stored of the pictures, into a folder.

    Searching and indexing go on meanwhile. A second backup into the same folder copies only new pictures.

    Examples: `sightline backup /backups/photos` · `sightline backup /backups/tonight --no-originals`
    """
    workspace = open_workspace()
    storage = Storage(workspace.settings.storage)
    made = backups.back_up(workspace.engine, storage, folder, originals=originals, progress=_tell)
    if as_json:
        sys.stdout.write(json.dumps({"images": made.images, "originals": made.originals}) + "\n")
    without = made.images - made.originals
    where = f"; {without:,} lie where they were indexed, and are not in it" if originals and without else ""
    remarks.print(f"{made.images:,} images are in {folder}, with {made.originals:,} originals{where}.")


def restore(folder: Folder, as_json: AsJson = False) -> None:
    """Bring a library back from a folder into an empty catalogue; workers then fill Milvus from it.

    Everything is checked before anything is changed. End the API and the workers first, and start them after.

    Exit status: 0 all is back, 3 some originals are damaged in the backup (their images are back, they are named).

    Example: `sightline restore /backups/photos && sightline serve`
    """
    settings = get_settings()
    url = endpoints(settings).postgres_url
    found = backups.restore(url, Storage(settings.storage), folder, progress=_tell)
    if as_json:
        sys.stdout.write(json.dumps(asdict(found)) + "\n")
    remarks.print(
        f"{found.images:,} images are back, with {found.originals:,} originals. The embeddings of {found.changes:,} are"
        " on the way to Milvus as soon as a worker runs; `sightline check` says when it has them all."
    )
    for name in found.damaged:
        remarks.print(f"[yellow]The original {name} is damaged in {folder}.[/yellow]")
    if found.damaged:
        raise typer.Exit(DAMAGED)


def _tell(what: str, amount: int) -> None:
    remarks.print(f"  {what}: {amount:,}{'' if what == 'originals' else ' bytes'}")
