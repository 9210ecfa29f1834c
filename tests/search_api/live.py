"""The application behind a real port, for what speaks HTTP itself."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from indexer.cli.serving import CONNECTIONS
from indexer.settings import Settings
from search_api.app import create_app


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The address of a server that runs as long as the block."""
    config = uvicorn.Config(
        create_app(settings),
        host="127.0.0.1",
        port=0,
        log_level="warning",
        **CONNECTIONS,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=20)
