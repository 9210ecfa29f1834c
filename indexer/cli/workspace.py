"""What commands share: the settings, the servers, the catalogue, the background worker."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from rich.console import Console
from rich.markup import escape
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import connection, models
from indexer.cli.model_remarks import remarks_on
from indexer.embeddings import EmbeddingStore
from indexer.embeddings.stores import EmbeddingStores
from indexer.errors import ServiceUnavailable
from indexer.local_stack import Endpoints, ManagedProcess, endpoints, prepare_home
from indexer.model_names import check_choice
from indexer.removal import Remover
from indexer.settings import Settings, get_settings
from indexer.storage import Storage
from indexer.task_queue import QUEUES, TaskQueue

if TYPE_CHECKING:
    from indexer.predictors import Embedder

# Progress and remarks go to standard error, so that standard output can be piped.
remarks = Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class Workspace:
    """One command's view of the library."""

    settings: Settings
    servers: Endpoints
    engine: Engine
    sessions: sessionmaker[Session]

    @cached_property
    def queue(self) -> TaskQueue:
        """Sends work to the workers."""
        return TaskQueue(self.servers.redis_url)

    @cached_property
    def remover(self) -> Remover:
        """Takes images out of the library."""
        return Remover(self.sessions, Storage(self.settings.storage))

    @property
    def embedded(self) -> bool:
        """Whether the queue is private, so that a worker must be started here."""
        return self.settings.redis_url is None

    def ensure_worker(self) -> bool:
        """In embedded mode, make sure the background worker runs; whether it had to be started."""
        if not self.embedded:
            return False
        worker = worker_process(self.settings)
        if worker.running():
            return False
        worker.ensure()
        return True

    @cached_property
    def stores(self) -> EmbeddingStores:
        """Milvus, by embedder."""
        token = self.settings.milvus_token
        return EmbeddingStores(
            self.servers.milvus_url,
            token=token.get_secret_value() if token else None,
            write_lock=connection.milvus_write_lock(self.engine),
        )

    def store_for(self, embedder: "Embedder") -> EmbeddingStore:
        """The Milvus collections of this embedder."""
        token = self.settings.milvus_token
        store = EmbeddingStore(
            self.servers.milvus_url,
            token=token.get_secret_value() if token else None,
            dimension=embedder.dimension,
            model=embedder.identity,
            write_lock=connection.milvus_write_lock(self.engine),
        )
        store.ensure()
        return store


def open_workspace() -> Workspace:
    """Reach (or start) the servers and bring the catalogue's schema up to date.

    Raises:
        ServiceUnavailable: a server does not answer; the message says what to do.
        ConfigurationError: a setting cannot be used.
        UnknownModel: a model chosen for a new library is not there; the message says how to get it.
    """
    settings = get_settings()
    servers = endpoints(settings)
    engine = connection.connect(servers.postgres_url)
    try:
        if not connection.is_current(engine):
            connection.migrate(servers.postgres_url)
    except OperationalError as error:
        raise ServiceUnavailable("postgres", f"Postgres does not answer: {error.orig}") from error
    workspace = Workspace(settings, servers, engine, connection.sessions(engine))
    _look_at_models(workspace)
    return workspace


def _look_at_models(workspace: Workspace) -> None:
    """Refuse a setting that a new library cannot begin with; say where an old one is otherwise than the settings."""
    settings = workspace.settings
    with workspace.sessions() as session:
        in_effect = models.in_effect(session)
        new = {
            kind: name
            for kind, name in settings.chosen_models.items()
            if kind not in in_effect and models.before(session, kind) is None
        }
    check_choice(new, settings.models_home)
    for line in remarks_on(settings, in_effect):
        remarks.print(f"[yellow]{escape(line)}[/yellow]", soft_wrap=True)


def shown_path(uri: str) -> str:
    """A source's address as a person would write it, safe to print with markup."""
    return escape(unquote(urlparse(uri).path) if uri.startswith("file:") else uri)


def worker_process(settings: Settings) -> ManagedProcess:
    """The one background worker of an embedded home."""
    home = prepare_home(settings.home)
    return ManagedProcess(
        "worker", [*worker_command(), "--hostname", f"worker@{home}"], home, marker=f"worker@{home}"
    )


def worker_command(queues: Sequence[str] = QUEUES) -> list[str]:
    """How a worker is run. Celery's own threads only take the messages that wake the worker's.

    OpenMP reads its policy from the environment when it is loaded. Left alone, its threads spin between products
    and take the cores from decoding and the servers: the published models were half as slow again.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    arguments = ["--pool", "threads", "--concurrency", "1", "--queues", ",".join(queues)]
    arguments += ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
    return [sys.executable, "-m", "celery", "-A", "workers.app", "worker", *arguments]


def run_worker(queues: Sequence[str]) -> None:
    """Become a worker: replaces this process."""
    command = worker_command(queues)
    os.execv(command[0], command)  # noqa: S606 - our own interpreter, our own arguments
