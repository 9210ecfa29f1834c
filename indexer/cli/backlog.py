"""`sightline retry`, and the part of `sightline status` that shows what waits."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import OperationalError

from indexer import local_stack
from indexer.catalog import backlog, connection, images
from indexer.catalog.backlog import Backlog
from indexer.cli.workspace import open_workspace, remarks
from indexer.settings import Settings

CHUNK = 1000


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(retry)


def retry(
    code: Annotated[
        str | None,
        typer.Argument(help="Only what was given up or refused for this reason, such as worker_died."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Refused images too, not only those that were given up.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Try images again that were given up after attempts in vain.

    `sightline status` says how many there are and for what reasons. The workers go on in the background.

    Examples: `sightline retry` · `sightline retry out_of_memory` · `sightline retry --all`
    """
    workspace = open_workspace()
    count = after = 0
    while True:
        with workspace.sessions.begin() as session:
            again = images.to_retry(session, code, everything, after, CHUNK)
            images.look_again(session, again)
        if not again:
            break
        count, after = count + len(again), again[-1]
    if count:
        workspace.ensure_worker()
        workspace.queue.wake()
    if as_json:
        sys.stdout.write(json.dumps({"retried": count}) + "\n")
    else:
        remarks.print(f"{count} images are tried again." if count else "There is nothing to try again.")


def show_backlog(out: Console, settings: Settings) -> None:
    """What waits, and what was given up; nothing if the catalogue cannot be asked without starting it."""
    found = _read(settings)
    if found is None:
        return
    now, given_up = found
    states = ", ".join(f"{count} {state}" for state, count in now.images.items() if count)
    out.print(f"\nImages: {states or 'none'}. Workers alive: {now.workers}.")
    table = Table("queue", "waiting", "claimed", "oldest")
    for name, queue in now.queues.items():
        table.add_row(name, str(queue.waiting), str(queue.claimed), f"{queue.oldest_s:.0f} s")
    out.print(table)
    for code, count in given_up.items():
        out.print(f"{count} given up: {code}; `sightline retry {code}` tries them again.")


def _read(settings: Settings) -> tuple[Backlog, dict[str, int]] | None:
    url = local_stack.running_postgres(settings)
    if url is None:
        return None
    engine = connection.connect(url)
    try:
        if not connection.is_current(engine):
            return None
        with connection.sessions(engine)() as session:
            return backlog.read(session), images.given_up(session)
    except OperationalError:
        return None
    finally:
        engine.dispose()
