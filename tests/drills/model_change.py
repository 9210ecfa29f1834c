"""Change the embedder of a library that is being searched all the time, kill it half-way, go back.

    python -m tests.drills.model_change --images 10000

Nothing else changes meanwhile, so every answer must be exactly what the old model or what the new one answers, the new
one's from some moment on, and the old one's again after going back; and every search must be answered.
"""

import argparse
import itertools
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np

from tests.drills import photographs
from tests.drills.deployment import SIGHTLINE, Deployment
from tests.drills.telling import end, say
from tests.other_models import NAME, install_other

QUERIES = (
    "a dog",
    "two people",
    "red",
    "blue water",
    "a child in the snow",
    "grass",
    "night",
    "yellow and green",
)
SETTLE_S = 600.0
Answer = tuple[int, ...]
Answers = dict[str, Answer]


@dataclass
class Seen:
    """Every search that was made: when it was sent, what, how long it took in ms, and the ids it answered."""

    searches: list[tuple[float, str, float, Answer]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass
class Verdict:
    """What the drill found; `wrong` empty: no search failed or was answered by two models at once."""

    images: int
    searches: int = 0
    fill_s: float = 0.0
    seen_after_s: float = 0.0  # from the end of the command to the first answer of the new model
    rollback_s: float = 0.0  # from the command to the first answer of the old one
    p95_before_ms: float = 0.0
    p95_during_ms: float = 0.0
    report: dict[str, object] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


class Searching(threading.Thread):
    """Asks one query after the other until `done`."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.http = httpx.Client(base_url=url, timeout=60)
        self.seen, self.done = Seen(), threading.Event()

    def run(self) -> None:
        """Until `done` is set."""
        while not self.done.is_set():
            for query in QUERIES:
                sent = time.monotonic()
                try:
                    answer = ask(self.http, query)
                except httpx.HTTPError as error:
                    self.seen.failures.append(f"{query}: {error!r}")
                    continue
                self.seen.searches.append((sent, query, (time.monotonic() - sent) * 1000, answer))
            self.done.wait(0.05)

    def p95_since(self, moment: float) -> float:
        """Of what was sent since, in milliseconds."""
        times = [ms for sent, _, ms, _ in self.seen.searches if sent >= moment]
        return round(float(np.percentile(times, 95)), 1)


def ask(http: httpx.Client, query: str) -> Answer:
    """The ids of the first twenty images, best first. Raises httpx.HTTPError."""
    answer = http.get("/v1/search", params={"q": query, "limit": 20, "all": True}).raise_for_status()
    return tuple(hit["id"] for hit in answer.json()["hits"])


def all_answers(http: httpx.Client) -> Answers:
    """What is answered now."""
    return {query: ask(http, query) for query in QUERIES}


def wait_for(http: httpx.Client, right: Callable[[Answers], bool]) -> float:
    """Seconds until the answers are right. Raises TimeoutError."""
    started = time.monotonic()
    while not right(all_answers(http)):
        if time.monotonic() - started > SETTLE_S:
            raise TimeoutError("the model in effect did not answer")
        time.sleep(0.1)
    return time.monotonic() - started


def drill(deployment: Deployment, images: int, say: Callable[[str], None]) -> Verdict:
    """Index, change, kill, change on, go back; judge."""
    verdict = Verdict(images)
    http = httpx.Client(base_url=deployment.url, timeout=60)
    before = all_answers(http)
    searching = Searching(deployment.url)
    searching.start()
    time.sleep(5)
    started = time.monotonic()
    verdict.p95_before_ms = searching.p95_since(0)
    _half_way(deployment, say)
    say("and again, to its end")
    done = deployment.run("reindex", "--embedder", NAME, "--json", timeout_s=7200)
    verdict.fill_s = round(time.monotonic() - started, 1)
    verdict.p95_during_ms = searching.p95_since(started)
    verdict.report = (
        json.loads(done.stdout)["change"]["report"] if not done.returncode else {"error": done.stderr}
    )
    verdict.seen_after_s = round(wait_for(http, lambda now: now != before), 2)
    after = all_answers(http)
    rolled = time.monotonic()
    deployment.run("reindex", "--rollback")
    wait_for(http, lambda now: now == before)
    verdict.rollback_s = round(time.monotonic() - rolled, 2)
    searching.done.set()
    searching.join()
    _judge(verdict, searching.seen, before, after)
    return verdict


def _half_way(deployment: Deployment, say: Callable[[str], None]) -> None:
    """Begin, and kill -9 the command and the worker once half of the images have been looked at."""
    command = subprocess.Popen(
        [*SIGHTLINE, "reindex", "--embedder", NAME], env=deployment.environment(), stderr=subprocess.DEVNULL
    )
    while command.poll() is None:
        told = json.loads(deployment.run("reindex", "--status", "--json").stdout or "{}").get("change") or {}
        if told and told["images_left"] < 0.5 * indexed(deployment):
            say(f"kill -9 with {told['images_left']} images left")
            deployment.kill("worker")
            command.kill()
            command.wait()
            return
        time.sleep(0.5)
    say("it was done before it could be killed")


def indexed(deployment: Deployment) -> int:
    """Images indexed."""
    stats = httpx.get(f"{deployment.url}/v1/stats", timeout=60).raise_for_status().json()
    return int(stats["images"]["indexed"])


def _judge(verdict: Verdict, seen: Seen, before: Answers, after: Answers) -> None:
    verdict.searches = len(seen.searches)
    verdict.wrong += seen.failures[:10]
    if before == after:
        verdict.wrong.append("both models answer the same: nothing was tested")
    mixed = [q for _, q, _, answer in seen.searches if answer not in (before[q], after[q])]
    if mixed:
        verdict.wrong.append(f"{len(mixed)} answers are neither model's, to {sorted(set(mixed))}")
    different = [(q, answer) for _, q, _, answer in seen.searches if before[q] != after[q]]
    models = ["new" if answer == after[q] else "old" for q, answer in different]
    changes = sum(one != two for one, two in itertools.pairwise(models))
    if changes > 2:
        verdict.wrong.append(f"answers changed hands {changes} times, not twice")


def run(images: int, say: Callable[[str], None]) -> Verdict:
    """A whole drill in a folder of its own, which is removed."""
    with tempfile.TemporaryDirectory(prefix="sightline-drill-") as folder:
        root = Path(folder).resolve()
        models = install_other(root / "models", "embedder")
        deployment = Deployment(root / "home", SIGHTLINE_MODELS=str(models))
        try:
            deployment.start()
            photographs.write(root / "pictures", images, seed=1)
            say("indexing")
            deployment.run("index", "--json", str(root / "pictures"), timeout_s=7200)
            return drill(deployment, images, say)
        finally:
            deployment.stop()


def main() -> None:
    """Print what happens, then the verdict as JSON; exit status 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.model_change", description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    verdict = run(parser.parse_args().images, say)
    end(verdict)


if __name__ == "__main__":
    main()
