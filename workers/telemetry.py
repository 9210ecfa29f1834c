"""A worker's own port: `/metrics` for Prometheus, `/healthz` for whoever restarts what does not work."""

import threading
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from indexer import metrics
from indexer.errors import ConfigurationError


class Telemetry:
    """Answers on `host`:`port` from a thread of its own until closed; unhealthy until `ready` is set.

    Raises:
        ConfigurationError: the port cannot be listened on.
    """

    def __init__(self, host: str, port: int) -> None:
        self.ready = threading.Event()
        try:
            self._server = ThreadingHTTPServer((host, port), partial(_Handler, self.ready))
        except OSError as error:
            raise ConfigurationError(
                f"A worker's metrics cannot be served on {host}:{port} ({error.strerror}). Choose another"
                " SIGHTLINE_WORKER__METRICS_PORT for each worker of a machine; 0 serves none."
            ) from error
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="telemetry", daemon=True).start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_address[1]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    timeout = 10  # seconds a sender may dawdle

    def __init__(self, ready: threading.Event, *connection: Any) -> None:
        self._ready = ready
        super().__init__(*connection)

    def do_GET(self) -> None:
        """The two pages there are."""
        if self.path == "/metrics":
            self._answer(HTTPStatus.OK, metrics.CONTENT_TYPE, metrics.exposition())
        elif self.path == "/healthz":
            status = HTTPStatus.OK if self._ready.is_set() else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, "text/plain", b"ok\n" if status == HTTPStatus.OK else b"starting\n")
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics and /healthz are here\n")

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Probes leave no lines."""
