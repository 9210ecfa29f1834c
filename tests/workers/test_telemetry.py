"""A worker's own port."""

import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from indexer.errors import ConfigurationError
from indexer.probe import probe
from tests.conftest import ROOT
from workers.telemetry import Telemetry


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """On any free port of loopback."""
    telemetry = Telemetry("127.0.0.1", 0)
    yield telemetry
    telemetry.close()


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_it_is_not_healthy_until_it_is_ready(telemetry: Telemetry) -> None:
    """While models load it answers, and says that it is starting."""
    assert _get(telemetry.port, "/healthz") == (503, b"starting\n")
    telemetry.ready.set()
    assert _get(telemetry.port, "/healthz") == (200, b"ok\n")
    assert _get(telemetry.port, "/else")[0] == 404


def test_metrics_are_there(telemetry: Telemetry) -> None:
    """Those of this process."""
    status, body = _get(telemetry.port, "/metrics")
    assert status == 200
    assert b"sightline_batch_size_bucket" in body


def test_a_taken_port_names_the_setting(telemetry: Telemetry) -> None:
    """Two workers of one machine need two ports."""
    with pytest.raises(ConfigurationError, match="METRICS_PORT"):
        Telemetry("127.0.0.1", telemetry.port)


def test_the_probe_of_a_container(telemetry: Telemetry) -> None:
    """Exit status 1 and the reason, then 0: what a health check goes by."""
    url = f"http://127.0.0.1:{telemetry.port}/healthz"
    command = [sys.executable, "-m", "indexer.probe", url]
    starting = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (starting.returncode, "503" in starting.stderr) == (1, True)
    telemetry.ready.set()
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    assert "not an http address" in (probe("file:///etc/passwd") or "")
