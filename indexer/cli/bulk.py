"""`sightline embeddings export` and `settle`: the bulk path into Milvus."""

from pathlib import Path
from typing import Annotated

import typer

from indexer import bulk
from indexer.catalog import outbox
from indexer.cli.workspace import open_workspace, remarks
from indexer.errors import NotFound

Folder = Annotated[Path, typer.Argument(help="The folder of the files.", file_okay=False, show_default=False)]
embeddings = typer.Typer(
    help="Embeddings as files for Milvus's bulk import: the way for many millions (docs/sizing.md).",
    no_args_is_help=True,
    add_completion=False,
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(embeddings, name="embeddings")


@embeddings.command()
def export(folder: Folder) -> None:
    """Write the embeddings of the embedder in effect as Parquet files; run again, it goes on where it ended.

    Import them into empty collections, with no worker of the queue `writes` running, then run `sightline embeddings
    settle` and `sightline check`.
    """
    workspace = open_workspace()
    with workspace.sessions() as session:
        known = outbox.all_embedders(session)
    if not known:
        raise NotFound("Nothing has been embedded yet: `sightline index FOLDER` begins.")
    done = bulk.export(workspace.sessions, known[0], folder, progress=_tell)
    remarks.print(f"{done.images:,} images and {done.captions:,} captions are in {folder}.")


@embeddings.command()
def settle(folder: Folder) -> None:
    """Say that Milvus has imported the files: what they hold is not sent again, what has changed since still is."""
    settled = bulk.settle(open_workspace().sessions, folder)
    remarks.print(f"{settled:,} changes are settled. `sightline check --repair` proves it.")


def _tell(part: bulk.Part) -> None:
    remarks.print(f"  from image {part.low}: {part.images:,} images, {part.captions:,} captions")
