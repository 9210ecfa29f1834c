"""`sightline serve`, `status` and `stop`."""

import socket
import threading
import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from indexer import local_stack, logs
from indexer.catalog import api_keys
from indexer.cli.backlog import show_backlog
from indexer.cli.workspace import Workspace, open_workspace, remarks, worker_process
from indexer.errors import ConfigurationError, SightlineError
from indexer.settings import get_settings

KEEP_WORKER_S = 3.0
# How the web server treats connections, whoever starts it.
CONNECTIONS: dict[str, Any] = {
    "http": "search_api.patience:PatientProtocol",
    # Bytes of a request's line and headers: twenty pictures' tokens, every character escaped.
    "h11_max_incomplete_event_size": 2**19,
    "limit_concurrency": 1_000,
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(serve)
    app.command()(status)
    app.command()(stop)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (SIGHTLINE_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (SIGHTLINE_PORT).")] = None,
) -> None:
    """Bring up everything and serve the page and the API; Ctrl-C ends the web server, `sightline stop` all of it."""
    settings = get_settings()
    host, port = host or settings.host, settings.port if port is None else port
    _check_free(host, port)
    workspace = open_workspace()
    if host not in LOOPBACK:
        _check_keys(workspace, host)
    workspace.ensure_worker()
    workspace.engine.dispose()
    if workspace.embedded:
        local_stack.keep(settings.home, port)
    threading.Thread(target=_keep_worker, args=[workspace], daemon=True).start()
    remarks.print(f"Sightline is at [bold]http://{host}:{port}/[/bold] (API: /docs). Ctrl-C to stop.")

    import uvicorn

    quiet = "WARNING" if settings.logs.format == "text" else "INFO"
    logs.configure(settings.logs.format, settings.logs.level or quiet)
    uvicorn.run(
        "search_api.app:create_app",
        factory=True,
        host=host,
        port=port,
        log_config=None,  # as every other logger's lines
        access_log=False,  # the application writes one line a request, with its id
        **CONNECTIONS,
    )
    remarks.print("The page is closed. `sightline stop` also ends the background servers.")


def status() -> None:
    """Show the private servers of this home, whether they answer, and what waits for the workers."""
    settings = get_settings()
    table = Table("service", "pid", "up", "answers", "address")
    for service in local_stack.status(settings.home):
        up = "" if service.since is None else f"{(time.time() - service.since) / 60:.0f} min"
        table.add_row(service.name, str(service.pid or ""), up, _yes(service.healthy), service.address)
    worker = worker_process(settings).running()
    table.add_row("worker", str(worker.pid if worker else ""), "", _yes(worker is not None), "")
    out = Console(highlight=False)
    out.print(table)
    show_backlog(out, settings)


def stop() -> None:
    """End everything of this home: the page, the background worker, the private servers; nothing is lost."""
    home = get_settings().home
    pages = [name for name in local_stack.stop(home) if name.startswith(local_stack.KEEPER)]
    remarks.print(f"Everything under {home} is stopped{', `sightline serve` too' if pages else ''}.")


def _keep_worker(workspace: Workspace) -> None:
    """Start the background worker again whenever it is gone, so that no upload waits for ever."""
    while True:
        time.sleep(KEEP_WORKER_S)
        try:
            if workspace.ensure_worker():
                remarks.print("[yellow]The worker had ended and was started again.[/yellow]")
        except SightlineError as error:
            remarks.print(f"[yellow]{error}[/yellow]")


def _yes(value: bool) -> str:
    return "[green]yes[/green]" if value else "[red]no[/red]"


def _check_keys(workspace: Workspace, host: str) -> None:
    """Refuse to be reached from other machines while nothing keeps strangers out."""
    with workspace.sessions() as session:
        if not api_keys.any_valid(session):
            raise ConfigurationError(
                f"{host} can be reached from other machines, and there is no key to keep strangers out."
                " Make one first: `sightline keys create NAME --scope admin`; or listen on 127.0.0.1."
            )


def _check_free(host: str, port: int) -> None:
    """Refuse a taken port before a minute of starting up."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} on {host} is taken ({error.strerror}). Is `sightline serve` running already?"
                f" Otherwise choose another: `sightline serve --port {port + 1}`."
            ) from error
