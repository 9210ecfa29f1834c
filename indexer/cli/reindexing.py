"""`sightline reindex`: from one model to the next, without an outage."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from sqlalchemy.exc import OperationalError

from indexer.catalog import models, reindexes
from indexer.cli.indexing import progress_bar
from indexer.cli.reindex_report import print_report, print_status
from indexer.cli.workspace import Workspace, open_workspace, remarks
from indexer.errors import ConfigurationError, NotFound, ServiceUnavailable
from indexer.local_stack import endpoints
from indexer.published import Kind
from indexer.task_queue import BACKFILL

if TYPE_CHECKING:
    from indexer.catalog.reindexes import Change

POLL_S = 0.5
MAX_HEALS = 20

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(reindex)


def reindex(
    embedder: Annotated[str | None, typer.Option(help="Change to this embedder.")] = None,
    tagger: Annotated[str | None, typer.Option(help="Change to this tagger.")] = None,
    captioner: Annotated[str | None, typer.Option(help="Change to this captioner.")] = None,
    switch: Annotated[
        bool, typer.Option(help="Put the new model in effect; --no-switch fills and compares only.")
    ] = True,
    rollback: Annotated[bool, typer.Option("--rollback", help="Go back to the model before, now.")] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Which models are in effect, how far it is.")
    ] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Call off a change that is not in effect yet.")
    ] = False,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget", help="Delete what models not in effect have said: then there is no way back."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change the library to another model while it goes on answering with the one it has.

    The workers have the new model look at every image, beside the old one's answers and after everything more urgent.
    Then the two are compared, and the new one answers from one moment to the next. What people and files say is not
    touched. Interrupt it whenever you like: the workers go on, and the same command follows them again.

    Examples: `sightline reindex --embedder small` · `sightline reindex --tagger ram --no-switch` ·
    `sightline reindex --rollback`
    """
    wanted = {k: n for k, n in (("embedder", embedder), ("tagger", tagger), ("captioner", captioner)) if n}
    if len(wanted) + sum((rollback, status, cancel, forget)) != 1:
        raise ConfigurationError(
            "Say one thing: --embedder, --tagger or --captioner NAME, --status, --rollback, --cancel or --forget."
        )
    workspace = open_workspace()
    if wanted:
        ((kind, name),) = wanted.items()
        Reindexing(workspace, quiet=as_json).change(kind, name, switch)  # type: ignore[arg-type]
    elif rollback:
        _roll_back(workspace)
    elif cancel:
        _cancel(workspace)
    elif forget:
        _forget(workspace)
    _say(workspace, as_json, in_full=status)


@dataclass
class Reindexing:
    """One `sightline reindex`: begins, follows the workers, compares, switches."""

    workspace: Workspace
    quiet: bool
    heals: int = 0

    def change(self, kind: Kind, name: str, switch: bool) -> None:
        """Change to a model, or only get ready to."""
        from indexer.reindexing import in_effect, switching

        choice = in_effect.choice_of(self.workspace.settings)
        in_effect.settle(self.workspace.sessions, choice)
        with self.workspace.sessions.begin() as session:
            change = in_effect.begin(session, choice, kind, name)
        self._wake()
        change = self._follow(change)
        if change.switched_at is not None:  # it was in effect before; what it lacked is filled
            return
        if not self.quiet:
            print_report(change)
        if not switch:
            remarks.print(
                f"[green]Ready.[/green] `sightline reindex --{kind} {name}` puts it in effect, --cancel does not."
            )
            return
        while not switching.switch(self.workspace.sessions, change):
            self._wake()  # what came a moment ago
            time.sleep(POLL_S)
        switching.point_aliases(self.workspace.sessions, self.workspace.stores)
        remarks.print(
            f"[green]{name} is the {kind} in effect now.[/green] `sightline reindex --rollback` goes back."
        )

    def _follow(self, change: "Change") -> "Change":
        """Wait until the model has looked at everything."""
        with self.workspace.sessions() as session:
            total, left = reindexes.count(session), reindexes.count(session, change.filled_to)
        with progress_bar(f"{change.name} looks at", total, self.quiet) as advance:
            advance(total - left)
            while (now := self._look_after(change)).filled_at is None and now.ended_at is None:
                with self.workspace.sessions() as session:
                    still = reindexes.count(session, now.filled_to)
                advance(left - still)
                left = still
                time.sleep(POLL_S)
        if now.ended_at is not None and now.switched_at is None:
            raise NotFound("The change was called off by another command.")
        return now

    def _look_after(self, change: "Change") -> "Change":
        """The change as it is now; a dead server or worker of our own is started again."""
        try:
            self.workspace.ensure_worker()
            with self.workspace.sessions() as session:
                return reindexes.find(session, change.id)
        except (OperationalError, ServiceUnavailable):
            self.heals += 1
            if not self.workspace.embedded or self.heals > MAX_HEALS:
                raise
            remarks.print("[yellow]A server stopped; starting it again.[/yellow]")
            endpoints(self.workspace.settings)
            return change

    def _wake(self) -> None:
        self.workspace.ensure_worker()
        self.workspace.queue.wake(BACKFILL)


def _roll_back(workspace: Workspace) -> None:
    from indexer.reindexing import switching

    with workspace.sessions() as session:
        kind = models.last_changed(session)
    if kind is None:
        raise NotFound("There is no model to go back to: none was changed since, or it was forgotten.")
    change = switching.roll_back(workspace.sessions, kind)
    switching.point_aliases(workspace.sessions, workspace.stores)
    workspace.ensure_worker()
    workspace.queue.wake(BACKFILL)
    remarks.print(
        f"[green]{change.name} is the {kind} in effect again.[/green] It now looks at what came since; --status says"
        " how far it is."
    )


def _cancel(workspace: Workspace) -> None:
    with workspace.sessions.begin() as session:
        models.hold_still(session)
        change = reindexes.running(session)
        if change is None or change.switched_at is not None:
            raise NotFound(
                "No change is under way that could be called off; --rollback goes back to the model before."
            )
        reindexes.end(session, change.id)
    remarks.print(
        f"The change to the {change.kind} {change.name} is called off. What it has found is kept, should you begin"
        " again; --forget deletes it."
    )


def _forget(workspace: Workspace) -> None:
    from indexer.reindexing import forgetting

    for kind, row in forgetting.forget(workspace.sessions, workspace.stores):
        remarks.print(f"The {kind} {row.name} ({row.version}) is forgotten.")


def _say(workspace: Workspace, as_json: bool, in_full: bool) -> None:
    with workspace.sessions() as session:
        in_effect, change = models.in_effect(session), reindexes.latest(session)
        left = reindexes.count(session, change.filled_to) if change else 0
    if as_json:
        sys.stdout.write(json.dumps(_as_dict(in_effect, change, left), default=str) + "\n")
    elif in_full:
        print_status(in_effect, change, left)


def _as_dict(in_effect: Mapping[Kind, models.ModelRow], change: "Change | None", left: int) -> dict[str, Any]:
    rows = {kind: {"name": row.name, "version": row.version} for kind, row in in_effect.items()}
    return {"in_effect": rows, "change": change and {**vars(change), "images_left": left}}
