"""`sightline index` and `sightline worker`."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from sqlalchemy.exc import OperationalError

from indexer.catalog import collections, jobs
from indexer.cli.profile import print_profile
from indexer.cli.rows import Rows
from indexer.cli.workspace import Workspace, open_workspace, remarks, run_worker, shown_path
from indexer.errors import ConfigurationError, ServiceUnavailable
from indexer.ingest import Ingest, Tally
from indexer.local_stack import endpoints
from indexer.task_queue import QUEUES, WRITES

SOME_REFUSED = 3
POLL_S = 0.5
MAX_HEALS = 20
MAX_RESTARTS = 12  # without progress: an image that kills its worker is found after half as many

Paths = Annotated[
    list[str] | None, typer.Argument(help="Files, folders (with their subfolders) or quoted patterns.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(index)
    app.command()(worker)


def index(
    paths: Paths = None,
    url: Annotated[
        list[str] | None,
        typer.Option(help="An address to fetch; s3://bucket/folder/ for all below it. May be given again."),
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="A table of pictures, as `sightline import` takes it.")
    ] = None,
    collection: Annotated[
        str, typer.Option(help="A collection to put all of them into, made if there is none.")
    ] = "",
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on: index what comes into the folders, say what goes.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try images again that were refused before.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Stay until the workers are done.")] = True,
    profile: Annotated[bool, typer.Option("--profile", help="Print where the time went.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Tag, caption and embed images, so that they can be searched.

    Files are read where they are; nothing is moved or changed. Addresses are fetched by the workers, from public
    machines only. Interrupt it whenever you like: run it again and it goes on. A second run does only what is new or
    changed.

    Exit status: 0 all well, 3 done but some files could not be used, 1 it did not work.

    Examples: `sightline index ~/Pictures` · `sightline index 'shoot/**/*.heic' --dry-run` ·
    `sightline index --url https://shop.example/1.jpg --collection Shop` · `sightline index ~/Incoming --watch`
    """
    from indexer.cli import watching  # runs what is defined here

    started = time.perf_counter()
    asked = Asked(paths or [], url or [], manifest, collection)
    asked.check(dry_run)
    news = watching.begin(asked.paths) if watch else None
    workspace = open_workspace()
    run = Run(
        workspace, None if dry_run else new_job(workspace), quiet=as_json, every_file=bool(asked.collection)
    )
    tally = run.register(asked.paths, retry)
    if run.job_id is None:
        _print_plan(tally, as_json)
        return
    known = asked.take_rest(workspace, run.job_id)
    progress = run.follow() if wait else job_progress(workspace, run.job_id)
    with workspace.sessions() as session:
        failures = jobs.failures(session, run.job_id)
        indexed = jobs.indexed(session, run.job_id)
    report = Report.of(tally, known, progress, indexed, failures, time.perf_counter() - started)
    report.print(as_json)
    if profile and not as_json:
        print_profile(report.progress, report.seconds)
    if news is not None:
        watching.follow(workspace, news, asked.collection)
    elif failures:
        raise typer.Exit(SOME_REFUSED)


@dataclass(frozen=True)
class Asked:
    """What one `sightline index` was asked to take."""

    paths: list[str]
    urls: list[str]
    manifest: Path | None
    collection: str

    def check(self, dry_run: bool) -> None:
        """Raises ConfigurationError: nothing is named, or a dry run of what only looking at files can tell."""
        elsewhere = bool(self.urls or self.manifest)
        if not self.paths and not elsewhere:
            raise ConfigurationError("Name files or folders, or give --url or --manifest.")
        if dry_run and elsewhere:
            raise ConfigurationError(
                "--dry-run looks at files and folders only: leave out --url and --manifest."
                " `sightline import FILE --dry-run` looks at a table."
            )

    def take_rest(self, workspace: Workspace, job_id: int) -> int:
        """What is no file or folder, into the same job; then all of it into the collection.

        How many rows were about pictures of the library.
        """
        rows = Rows(workspace, job_id, self.collection, position=job_progress(workspace, job_id).total)
        if self.urls:
            rows.take_urls(self.urls)
        if self.manifest is not None:
            rows.take_manifest(self.manifest)
        put_together(workspace, job_id, self.collection)
        return rows.counts["changed"] + rows.counts["unchanged"]


def worker(
    queues: Annotated[
        str, typer.Option(help="The kinds of work to do, separated by commas: " + ", ".join(QUEUES) + ".")
    ] = ",".join(QUEUES),
) -> None:
    """Run a worker here, in the foreground; Ctrl-C ends it after the batch at hand.

    In embedded mode `sightline index` and `sightline serve` start one by themselves; run more by hand
    on other machines with SIGHTLINE_POSTGRES_URL, SIGHTLINE_REDIS_URL and SIGHTLINE_MILVUS_URL set.

    `decode` prepares images for the models of other machines; a worker on `index` decodes its own.

    Examples: `sightline worker` does everything · `sightline worker --queues fetch,decode,writes` needs no GPU
    """
    chosen = [name.strip() for name in queues.split(",") if name.strip()]
    if strangers := sorted(set(chosen) - set(QUEUES)):
        raise ConfigurationError(
            f"There is no queue {', '.join(strangers)}. Choose from {', '.join(QUEUES)}."
        )
    if not chosen:
        raise ConfigurationError(f"Name at least one queue: {', '.join(QUEUES)}.")
    open_workspace()
    run_worker(chosen)


@dataclass
class Run:
    """One `sightline index`: registers, waits, and starts again what falls over meanwhile."""

    workspace: Workspace
    job_id: int | None
    quiet: bool
    every_file: bool = False
    heals: int = 0
    restarts: int = 0

    def register(self, paths: list[str], retry: bool) -> Tally:
        """Register files and queue what needs work."""
        ingest = Ingest(
            self.workspace.sessions,
            self.job_id,
            self.workspace.settings.images.max_bytes,
            retry,
            self._wake,
            every_file=self.every_file,
        )
        with progress_bar("Looking at files", None, self.quiet) as advance:
            tally = ingest.run(paths, advance)
        if tally.replaced:
            self.workspace.remover.remove(tally.replaced)
            self.workspace.queue.wake(WRITES)
        return tally

    def _wake(self) -> None:
        self.workspace.ensure_worker()
        self.workspace.queue.wake()

    def follow(self, on_change: Callable[[], None] = lambda: None) -> jobs.Progress:
        """Wait until every image of the job is indexed or refused; `on_change` is called as some are."""
        assert self.job_id is not None
        progress = job_progress(self.workspace, self.job_id)
        done = progress.total - progress.pending
        with progress_bar("Tagging, captioning", progress.total, self.quiet) as advance:
            advance(done)
            while not progress.done:
                time.sleep(POLL_S)
                progress = self._look_after(progress)
                if (now_done := progress.total - progress.pending) > done:
                    advance(now_done - done)
                    done, self.restarts = now_done, 0
                    on_change()
        return progress

    def _look_after(self, before: jobs.Progress) -> jobs.Progress:
        """Progress now; a dead server or worker of our own is started again."""
        try:
            if self.workspace.ensure_worker():
                self._count_restart()
            return job_progress(self.workspace, before.job_id)
        except (OperationalError, ServiceUnavailable):
            self._heal()
            return before

    def _heal(self) -> None:
        self.heals += 1
        if not self.workspace.embedded or self.heals > MAX_HEALS:
            raise ServiceUnavailable(
                "postgres",
                "A server went away and did not come back. Run the same command again once it is up;"
                " nothing is lost.",
            )
        remarks.print("[yellow]A server stopped; starting it again.[/yellow]")
        endpoints(self.workspace.settings)

    def _count_restart(self) -> None:
        """A worker that ends as soon as it starts is not started for ever."""
        self.restarts += 1
        if self.restarts > MAX_RESTARTS:
            log = self.workspace.settings.home / "logs" / "worker.log"
            raise ServiceUnavailable("worker", f"The worker keeps ending. {log} says why; nothing is lost.")


@dataclass(frozen=True)
class Report:
    """What one run did. Each file and row is counted once: in `unchanged`, or in `progress` or `copies`.

    `progress` is of what the run was about: its `indexed` images became so now, its total is without what was there
    unchanged. `copies` have the content of other files.
    """

    progress: jobs.Progress
    unchanged: int
    copies: int
    ignored: int
    failures: list[jobs.Failure]
    seconds: float

    @classmethod
    def of(
        cls,
        tally: Tally,
        known_rows: int,
        progress: jobs.Progress,
        indexed: jobs.Indexed,
        failures: list[jobs.Failure],
        seconds: float,
    ) -> "Report":
        """From the files looked at, how many rows were about pictures of the library, and how far the job is."""
        there = max(0, indexed.before - tally.listed_again)
        known = min(known_rows, there)
        copies = indexed.copies + there - known
        total = indexed.anew + copies + progress.failed + progress.pending
        own = replace(progress, total=total, indexed=indexed.anew)
        return cls(own, tally.unchanged + known, copies, tally.ignored, failures, seconds)

    def print(self, as_json: bool) -> None:
        """To standard output: a JSON object, or a few lines for people."""
        if as_json:
            sys.stdout.write(json.dumps(self._as_dict(), default=str) + "\n")
            return
        done = self.progress
        copies = f" {self.copies} with the content of others," if self.copies else ""
        remarks.print(
            f"[green]{done.indexed} indexed[/green] in {self.seconds:.1f} s"
            f" ({done.indexed / self.seconds:.1f} images/s),{copies} {self.unchanged} unchanged,"
            f" {done.failed} refused, {done.pending} waiting.",
            soft_wrap=True,
        )
        if shares := self._shares():
            remarks.print("Time: " + ", ".join(f"{stage} {share:.0%}" for stage, share in shares.items()))
        for failure in self.failures:
            remarks.print(
                f"  [yellow]{failure.code}[/yellow] {shown_path(failure.uri)}: {escape(failure.message)}",
                soft_wrap=True,
            )

    def _as_dict(self) -> dict[str, object]:
        return {
            **asdict(self.progress),
            "copies": self.copies,
            "unchanged": self.unchanged,
            "ignored": self.ignored,
            "seconds": round(self.seconds, 3),
            "failures": [asdict(failure) for failure in self.failures],
        }

    def _shares(self) -> dict[str, float]:
        total = sum(self.progress.stage_seconds.values())
        return {stage: value / total for stage, value in self.progress.stage_seconds.items()} if total else {}


def new_job(workspace: Workspace, kind: str = "index") -> int:
    """A job for one run of the command."""
    with workspace.sessions.begin() as session:
        return jobs.create(session, kind)


def put_together(workspace: Workspace, job_id: int | None, collection: str) -> None:
    """Put the images of a job into a collection, made at first mention; "": into none."""
    if not collection or job_id is None:
        return
    with workspace.sessions.begin() as session:
        collections.add(session, collections.ensure(session, collection), jobs.images_of(session, job_id))


def job_progress(workspace: Workspace, job_id: int) -> jobs.Progress:
    """How far a job is."""
    with workspace.sessions() as session:
        progress = jobs.progress(session, job_id)
    assert progress is not None
    return progress


def _print_plan(tally: Tally, as_json: bool) -> None:
    plan = {name: getattr(tally, name) for name in ("new", "unchanged", "refused", "waiting", "ignored")}
    if as_json:
        sys.stdout.write(json.dumps({"dry_run": True, **plan}) + "\n")
        return
    remarks.print(
        f"Would index {tally.new} new or changed files; {tally.unchanged} are unchanged,"
        f" {tally.refused} cannot be used, {tally.waiting} are waiting already,"
        f" {tally.ignored} are not images by their name.",
        soft_wrap=True,
    )


@contextmanager
def progress_bar(text: str, total: int | None, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error; yields the function that advances it."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=remarks, disable=quiet, transient=True) as progress:
        task = progress.add_task(text, total=total, rate="")

        def advance(count: int) -> None:
            speed = progress.tasks[0].speed
            progress.update(task, advance=count, rate=f"{speed:.1f}/s" if speed else "")

        yield advance
