"""Two worker processes on one queue: everything is looked at, and nothing twice.

    python -m tests.drills.two_workers --images 5000
    SIGHTLINE_POSTGRES_URL=... SIGHTLINE_REDIS_URL=... SIGHTLINE_MILVUS_URL=... python -m tests.drills.two_workers

Servers are those the environment names; the others are private ones, reached by address as a stranger's would be.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from indexer import local_stack
from indexer.settings import Settings
from tests.drills import photographs
from tests.drills.deployment import SIGHTLINE, Deployment, free_port
from tests.drills.telling import end

PATIENCE_S = 3600.0


@dataclass
class Verdict:
    """What the drill found; `wrong` empty: all was looked at once."""

    images: int
    servers: dict[str, str]
    seconds: float = 0.0
    states: dict[str, int] = field(default_factory=dict)
    looked_at: list[int] = field(default_factory=list)  # by each worker
    published: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def addresses(home: Path) -> dict[str, str]:
    """The three servers' URLs as environment variables."""
    given = {name: os.environ.get(f"SIGHTLINE_{name}_URL") for name in ("POSTGRES", "REDIS", "MILVUS")}
    found = local_stack.endpoints(
        Settings(home=home, **{f"{n.lower()}_url": url for n, url in given.items()})
    )
    own = {"POSTGRES": found.postgres_url, "REDIS": found.redis_url, "MILVUS": found.milvus_url}
    return {f"SIGHTLINE_{name}_URL": given[name] or url for name, url in own.items()}


@contextmanager
def workers(deployment: Deployment, count: int) -> Iterator[list[int]]:
    """So many worker processes; their metrics' ports."""
    ports = [free_port() for _ in range(count)]
    running = [
        subprocess.Popen(
            [*SIGHTLINE, "worker"],
            env={**deployment.environment(), "SIGHTLINE_WORKER__METRICS_PORT": str(port)},
            stderr=(deployment.home.parent / f"worker-{port}.log").open("wb"),
        )
        for port in ports
    ]
    try:
        yield ports
    finally:
        for worker in running:
            worker.terminate()
        for worker in running:
            worker.wait(timeout=120)


def counted(port: int, name: str, **labels: str) -> int:
    """A counter of a worker."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return int(sum(sample.value for sample in samples if labels.items() <= sample.labels.items()))


def run(images: int) -> Verdict:
    """Index with two workers and count."""
    with tempfile.TemporaryDirectory(prefix="sightline-drill-") as folder:
        root = Path(folder).resolve()
        urls = addresses(root / "servers")
        kinds = {name: url.split(":", 1)[0] for name, url in urls.items()}
        verdict = Verdict(images, kinds)
        deployment = Deployment(root / "home", **urls)
        whole = photographs.write(root / "pictures", images, seed=1)
        try:
            with workers(deployment, 2) as ports:
                _index(deployment, root, ports, verdict)
        finally:
            local_stack.stop(root / "servers")
        _judge(verdict, sum(whole.values()))
        return verdict


def _index(deployment: Deployment, root: Path, ports: list[int], verdict: Verdict) -> None:
    started = time.monotonic()
    done = deployment.run("index", "--json", str(root / "pictures"), timeout_s=PATIENCE_S)
    verdict.seconds = round(time.monotonic() - started, 1)
    check = deployment.run("check", "--json")
    verdict.states = json.loads(check.stdout)["images_by_state"]
    if check.returncode or done.returncode not in (0, 3):
        verdict.wrong.append(f"{done.stderr}{check.stdout}{check.stderr}")
    verdict.looked_at = [counted(p, "sightline_work_done_total", outcome="indexed") for p in ports]
    verdict.published = [counted(p, "sightline_published_total") for p in ports]


def _judge(verdict: Verdict, whole: int) -> None:
    if sum(verdict.looked_at) != whole:
        verdict.wrong.append(f"{sum(verdict.looked_at)} were looked at, should be {whole}")
    if min(verdict.looked_at) == 0:
        verdict.wrong.append("one worker did nothing")
    if verdict.states["indexed"] != whole or verdict.states["failed"] != verdict.images - whole:
        verdict.wrong.append(f"images by state: {verdict.states}")


def main() -> None:
    """Print the verdict as JSON; exit status 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.two_workers", description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    verdict = run(parser.parse_args().images)
    end(verdict)


if __name__ == "__main__":
    main()
