"""`sightline searches`: searches kept under a name."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from indexer import query as language
from indexer.catalog import saved_searches
from indexer.cli.searching import AsJson, QueryCommand, open_searcher
from indexer.cli.workspace import open_workspace, remarks
from indexer.errors import NotFound, QueryError
from indexer.search import Count, Searcher

Name = Annotated[str, typer.Argument(help="What it is called.")]
searches = typer.Typer(
    help='Searches kept under a name: `sightline searches`, `sightline searches save dogs "tag:dog"`.',
    add_completion=False,
    rich_markup_mode="markdown",
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(searches, name="searches")


@searches.callback(invoke_without_command=True)
def listed(context: typer.Context, as_json: AsJson = False) -> None:
    """List the searches kept under a name, with how many images each finds now."""
    if context.invoked_subcommand is not None:
        return
    workspace = open_workspace()
    with workspace.sessions() as session:
        kept = saved_searches.all_of_them(session)
    searcher = open_searcher(workspace)
    counts = [_count(searcher, view.query) for view in kept]
    if as_json:
        rows = [{**asdict(view), **_told(count)} for view, count in zip(kept, counts, strict=True)]
        sys.stdout.write(json.dumps(rows, default=str) + "\n")
        return
    table = Table("name", Column("images", justify="right"), Column("query", overflow="fold"))
    for view, count in zip(kept, counts, strict=True):
        table.add_row(escape(view.name), _shown(count), escape(view.query))
    if kept:
        Console().print(table)
    else:
        remarks.print('None yet. Keep one: `sightline searches save dogs "tag:dog"`.')


@searches.command(cls=QueryCommand)
def save(
    name: Name,
    query: Annotated[str, typer.Argument(help="The query, as `sightline search` takes it.")],
) -> None:
    """Keep a search under a name."""
    canonical = language.to_text(language.parse(query))
    with open_workspace().sessions.begin() as session:
        saved_searches.create(session, name, canonical)
    remarks.print(f"Saved {escape(name)}: {escape(canonical)}")


@searches.command()
def delete(name: Name) -> None:
    """Forget a search kept under a name."""
    with open_workspace().sessions.begin() as session:
        saved_searches.remove(session, saved_searches.find_by_name(session, name).id)
    remarks.print(f"{escape(name)} is forgotten.")


def _told(count: Count | None) -> dict[str, object]:
    return {"count": count and count.value, "exact": count is not None and count.exact}


def _shown(count: Count | None) -> str:
    if count is None:
        return "?"
    return f"{count.value:,}" if count.exact else f"at least {count.value:,}"


def _count(searcher: Searcher, text: str) -> Count | None:
    try:
        return searcher.count(language.parse(text))
    except (QueryError, NotFound):
        return None
