"""`sightline keys`: who may come in."""

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from indexer.catalog import api_keys
from indexer.catalog.api_keys import SCOPES, KeyView
from indexer.cli.searching import AsJson
from indexer.cli.workspace import open_workspace, remarks

Name = Annotated[str, typer.Argument(help="What the key is called, for lists and logs.")]
_SPELT_OUT = "; ".join(f"`{scope}`: {what.split(';')[0]}" for scope, what in SCOPES.items()) + "."
keys = typer.Typer(
    help=(
        "Keys that open the API and the page: `sightline keys create laptop --scope search --scope images.read`."
        "\n\nAs long as there is none, everything is open to this machine and nothing to others."
    ),
    add_completion=False,
    rich_markup_mode="markdown",
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(keys, name="keys")


@keys.callback(invoke_without_command=True)
def overview(context: typer.Context, as_json: AsJson = False) -> None:
    """List the keys: what each opens, and when it was used last."""
    if context.invoked_subcommand is None:
        listed(as_json)


@keys.command("list")
def listed(as_json: AsJson = False) -> None:
    """List the keys: what each opens, and when it was used last."""
    with open_workspace().sessions() as session:
        found = api_keys.all_of_them(session)
    if as_json:
        rows = [{**asdict(key), "scopes": sorted(key.scopes)} for key in found]
        sys.stdout.write(json.dumps(rows, default=str) + "\n")
    elif found:
        Console().print(_table(found))
    else:
        remarks.print("None yet: this machine may do everything, others nothing. Make one:")
        remarks.print("sightline keys create laptop --scope search --scope images.read")


@keys.command()
def create(
    name: Name,
    scopes: Annotated[
        list[str],
        typer.Option("--scope", help="What it opens, once for each: " + _SPELT_OUT),
    ],
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once: only a hash of it is kept."""
    with open_workspace().sessions.begin() as session:
        first = not api_keys.any_valid(session)
        view, key = api_keys.create(session, name, scopes)
    if as_json:
        sys.stdout.write(json.dumps({"name": view.name, "scopes": sorted(view.scopes), "key": key}) + "\n")
    else:
        sys.stdout.write(f"{key}\n")
        remarks.print(
            f"{escape(view.name)} opens {', '.join(sorted(view.scopes))}. The key is not shown again."
        )
    if first:
        remarks.print("From now on the page and the API need a key, on this machine too.")


@keys.command()
def revoke(name: Name) -> None:
    """Make a key open nothing from now on, and end the sessions of browsers that signed in with it."""
    with open_workspace().sessions.begin() as session:
        view = api_keys.revoke(session, name)
        last = not api_keys.any_valid(session)
    remarks.print(f"{escape(view.name)} opens nothing any more; a running server knows within two seconds.")
    if last:
        remarks.print("It was the last: this machine may do everything again, others nothing.")


def _table(found: list[KeyView]) -> Table:
    table = Table("name", "key", Column("opens", overflow="fold"), "made", "used", "revoked")
    for key in found:
        table.add_row(
            escape(key.name),
            f"{key.prefix}…",
            ", ".join(scope for scope in SCOPES if scope in key.scopes),
            *(_day(moment) for moment in (key.created_at, key.last_used_at, key.revoked_at)),
        )
    return table


def _day(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
