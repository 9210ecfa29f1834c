"""`sightline`: every command, one file per kind of work."""

import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from indexer.errors import SightlineError

# The files and their commands, in the order of `--help`.
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "indexing": ("index", "worker"),
    "importing": ("import",),
    "backlog": ("retry",),
    "searching": ("search", "tags"),
    "exporting": ("export", "duplicates"),
    "saved": ("searches",),
    "serving": ("serve", "status", "stop"),
    "catalogue": ("check", "delete"),
    "captioning": ("caption",),
    "reindexing": ("reindex",),
    "operating": ("migrate", "backup", "restore"),
    "quality": ("evaluate", "train"),
    "demo": ("demo",),
    "keys": ("keys",),
    "models": ("models",),
    "vocabularies": ("vocabulary",),
    "bulk": ("embeddings",),
}


class OnDemand(Mapping[str, Any]):
    """The commands by name, each file imported when one of its commands is: all together they take seconds."""

    def __getitem__(self, name: str) -> Any:
        return of_file(next((file for file, names in COMMANDS.items() if name in names), ""))[name]

    def __iter__(self) -> Iterator[str]:
        return (name for names in COMMANDS.values() for name in names)

    def __len__(self) -> int:
        return sum(map(len, COMMANDS.values()))


@cache
def of_file(file: str) -> Mapping[str, Any]:
    """The commands of one file, by name; none of no file."""
    if not file:
        return {}
    part = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="markdown")
    import_module(f"indexer.cli.{file}").add_to(part)
    return typer.main.get_group(part).commands


class Commands(TyperGroup):
    """`sightline` itself."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = OnDemand()  # type: ignore[assignment]


app = typer.Typer(
    name="sightline",
    cls=Commands,
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


app.callback()(lambda: None)  # typer wants something of its own to call


def main() -> None:
    """Run the command line; errors made on purpose are one line and exit status 1."""
    try:
        app()
    except SightlineError as error:
        Console(stderr=True).print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)
