"""`sightline`: every command, one file per kind of work."""

import sys

import typer
from rich.console import Console

from indexer.cli import (
    backlog,
    bulk,
    captioning,
    catalogue,
    demo,
    exporting,
    importing,
    indexing,
    keys,
    models,
    operating,
    quality,
    reindexing,
    saved,
    searching,
    serving,
    vocabularies,
)
from indexer.errors import SightlineError

app = typer.Typer(
    name="sightline",
    help=(
        "Find images by what is in them.\n\n"
        'Start with `sightline index FOLDER`, then `sightline search "a dog in the snow"`,'
        " or `sightline serve` for the page. Nothing needs to be configured: private servers start under"
        " ~/.sightline (SIGHTLINE_HOME) and `sightline stop` ends them."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
for module in (
    indexing,
    importing,
    backlog,
    searching,
    exporting,
    saved,
    serving,
    keys,
    catalogue,
    captioning,
    models,
    reindexing,
    vocabularies,
    operating,
    bulk,
    quality,
    demo,
):
    module.add_to(app)


def main() -> None:
    """Run the command line; errors made on purpose are one line and exit status 1."""
    try:
        app()
    except SightlineError as error:
        Console(stderr=True).print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)
