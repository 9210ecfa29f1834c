"""Break everything, again and again, while it works; then look whether anything was lost.

    python -m tests.drills.faults --images 2000 --rounds 20 --seed 1

An embedded library on a small disk of its own takes in pictures from a folder and over the API, is searched and
edited. Meanwhile, in an order and at moments drawn from the seed: `rounds` times kill -9 of the worker, the API,
Postgres, Redis or Milvus; each of them stopped (SIGSTOP) for ten seconds; no room on the disk, once; Redis's data
dropped, once. Afterwards every picture must be indexed once or named with its reason, both stores must agree, every
acknowledged write must be there, and every request that failed must have named a service that was down just then.
"""

import argparse
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
from redis import Redis

from indexer import local_stack
from indexer.settings import Settings
from tests.drills import photographs
from tests.drills.deployment import SERVICES, Deployment, fill, small_disk
from tests.drills.people import Editor, Failure, Ledger, Librarian, Person, Searcher, Uploader
from tests.drills.telling import end, say

PAUSE_S = 10.0
FULL_S = 6.0
DISK_BYTES = 3 * 2**30
GRACE_S = 3.0  # after a service is seen to work again, until everybody's connections do
SETTLE_S = 900.0
Say = Callable[[str], None]


@dataclass
class Outage:
    """A service was broken, or seen not to work: from when to when, seconds by the monotonic clock."""

    service: str
    start: float
    end: float | None = None

    def explains(self, failure: Failure) -> bool:
        """Whether it names this service and some of it was within the outage, or just after."""
        over = float("inf") if self.end is None else self.end + GRACE_S
        return failure.blames == self.service and self.start <= failure.ended and failure.sent <= over


class Watch(threading.Thread):
    """Asks all the time what works, and writes down what does not."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(daemon=True)
        self.deployment = deployment
        self.outages: list[Outage] = []
        self.done = threading.Event()
        self._lock = threading.Lock()

    def broken(self, service: str) -> None:
        """It has just been broken on purpose."""
        with self._lock:
            self.outages.append(Outage(service, time.monotonic()))

    def run(self) -> None:
        """Until `done` is set."""
        while not self.done.wait(0.2):
            asked = time.monotonic()
            parts = self.deployment.parts()
            seen = {"api": parts is not None, **(parts or {})}
            with self._lock:
                for service, works in seen.items():
                    self._note(service, works, asked)

    def _note(self, service: str, works: bool, asked: float) -> None:
        still = [o for o in self.outages if o.service == service and o.end is None]
        if not works and not still:
            self.outages.append(Outage(service, asked))
        for outage in still if works else ():
            if outage.start < asked:
                outage.end = time.monotonic()


@dataclass
class Verdict:
    """What the drill found; `wrong` empty: nothing was lost."""

    seed: int
    images: int
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    states: dict[str, int] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Drill:
    """One drill over one deployment."""

    deployment: Deployment
    seed: int
    has_disk: bool
    say: Say
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.watch = Watch(self.deployment)

    def run(self, folder: Path, images: int, rounds: int, pause_s: float = PAUSE_S) -> Verdict:
        """Break `rounds` times and more, wait until all is done, judge."""
        started = time.monotonic()
        faults = self._plan(rounds, pause_s)
        files, expected = self._pictures(folder, images)
        self.deployment.start()
        self.watch.start()
        people = self._people(folder, files, pace_s=4.5 * len(faults) / max(1, len(files)))
        for number, (name, fault) in enumerate(faults, 1):
            time.sleep(self.rng.uniform(0.3, 5.0))
            self.say(f"{number}/{len(faults)} {name}")
            fault()
        self._finish(people)
        verdict = Verdict(self.seed, images, [name for name, _ in faults])
        self._judge(verdict, folder, expected)
        verdict.seconds = round(time.monotonic() - started, 1)
        return verdict

    def _plan(self, rounds: int, pause_s: float) -> list[tuple[str, Callable[[], None]]]:
        victims = [SERVICES[number % len(SERVICES)] for number in range(rounds)]
        faults: list[tuple[str, Callable[[], None]]] = [
            (f"kill -9 {victim}", lambda victim=victim: self._kill(victim)) for victim in victims
        ]
        if pause_s:
            faults += [
                (f"pause {victim} {pause_s:.0f} s", lambda victim=victim: self._pause(victim, pause_s))
                for victim in SERVICES
            ]
            faults.append(("drop Redis's data", self._flush))
            if self.has_disk:
                faults.append(("no room on the disk", self._fill))
        self.rng.shuffle(faults)
        return faults

    def _kill(self, victim: str) -> None:
        self.watch.broken(victim)
        if not self.deployment.kill(victim):
            self.say(f"  {victim} was not running")

    def _pause(self, victim: str, seconds: float) -> None:
        self.watch.broken(victim)
        self.deployment.pause(victim, seconds)

    def _flush(self) -> None:
        url = local_stack.endpoints(Settings(home=self.deployment.home)).redis_url
        with Redis.from_url(url.replace("redis+socket://", "unix://", 1)) as client:
            client.flushall()

    def _fill(self) -> None:
        for service in SERVICES:
            self.watch.broken(service)
        self.watch.broken("storage")
        fill(self.deployment.home, FULL_S)
        self.watch.outages[-1].end = time.monotonic()  # nobody reports on the storage

    def _pictures(self, folder: Path, images: int) -> tuple[list[Path], dict[str, bool]]:
        """Half of them to be indexed from `folder`, the other half to be sent."""
        photographs.write(folder / "indexed", images // 2, self.seed)
        expected = photographs.write(folder / "sent", images - images // 2, self.seed + 1)
        return sorted((folder / "sent").iterdir()), expected

    def _people(self, folder: Path, files: list[Path], pace_s: float) -> list[Person]:
        people: list[Person] = [
            Searcher(self.deployment, self.ledger, self.seed),
            Searcher(self.deployment, self.ledger, self.seed + 1),
            Editor(self.deployment, self.ledger, self.seed),
            Uploader(self.deployment, self.ledger, self.seed, files, pace_s),
            Librarian(self.deployment, self.ledger, self.seed, folder / "indexed"),
        ]
        for person in people:
            person.start()
        return people

    def _finish(self, people: list[Person]) -> None:
        """Let those with something to finish finish it, then everybody go, then the queue run dry."""
        self.say("no more faults: waiting until everything is done")
        self.deployment.wait_ready(SETTLE_S)
        for person in people:
            if isinstance(person, Uploader | Librarian):
                person.join(timeout=SETTLE_S)
        deadline = time.monotonic() + SETTLE_S
        while (states := self._states()).get("pending", 0) + states.get("annotated", 0):
            if time.monotonic() > deadline:
                break
            time.sleep(1)
        for person in people:
            person.done.set()
            person.join(timeout=60)
        self.watch.done.set()

    def _states(self) -> dict[str, int]:
        answer = self._get("/v1/stats")
        return dict(answer["images"])  # type: ignore[call-overload]

    def _get(self, path: str) -> dict[str, object]:
        answer = httpx.get(self.deployment.url + path, timeout=60)
        answer.raise_for_status()
        return dict(answer.json())

    def _judge(self, verdict: Verdict, folder: Path, expected: dict[str, bool]) -> None:
        verdict.states = self._states()
        verdict.answered = dict(self.ledger.answered)
        verdict.failed = dict(Counter(f"{f.what}: {f.blames}" for f in self.ledger.failures))
        self._judge_images(verdict, folder, expected)
        self._judge_writes(verdict, expected)
        self._judge_failures(verdict)

    def _judge_images(self, verdict: Verdict, folder: Path, expected: dict[str, bool]) -> None:
        again = self.deployment.run("index", "--json", str(folder / "indexed"))
        told = json.loads(again.stdout or "{}")
        whole = sum(expected.values()) + sum(
            w for _, _, w in photographs.made_up(verdict.images // 2, self.seed)
        )
        wanted = {"pending": 0, "annotated": 0, "indexed": whole, "failed": verdict.images - whole, "dead": 0}
        if {**dict.fromkeys(wanted, 0), **verdict.states} != wanted:
            verdict.wrong.append(f"images by state are {verdict.states}, should be {wanted}")
        known = told.get("unchanged", 0) + told.get("failed", 0)
        if (told.get("indexed"), known) != (0, verdict.images // 2):
            verdict.wrong.append(
                f"indexing the folder again had something to do: {again.stdout}{again.stderr}"
            )
        check = self.deployment.run("check", "--json")
        if check.returncode:
            verdict.wrong.append(f"check found differences: {check.stdout}{check.stderr}")

    def _judge_writes(self, verdict: Verdict, expected: dict[str, bool]) -> None:
        if lost := expected.keys() - self.ledger.uploads.keys():
            verdict.wrong.append(f"never acknowledged, though sent until the end: {sorted(lost)[:10]}")
        tags: dict[int, set[str]] = {}
        for name, image_id in self.ledger.uploads.items():
            image = self._get(f"/v1/images/{image_id}")
            tags[image_id] = {tag["name"] for tag in image["tags"]}  # type: ignore[attr-defined]
            if image["state"] != ("indexed" if expected[name] else "failed"):
                verdict.wrong.append(f"{name} was acknowledged as {image_id} and is {image['state']}")
        lost_tags = [(i, tag) for i, tag in self.ledger.tags if tag not in tags[i]]
        if lost_tags:
            verdict.wrong.append(f"{len(lost_tags)} acknowledged tags are missing: {lost_tags[:10]}")

    def _judge_failures(self, verdict: Verdict) -> None:
        outages = self.watch.outages
        for failure in self.ledger.failures:
            if not any(outage.explains(failure) for outage in outages):
                verdict.wrong.append(f"nothing explains {asdict(failure)}")


def drill(images: int, rounds: int, seed: int, say: Say, pause_s: float = PAUSE_S) -> Verdict:
    """A whole drill in a folder of its own, which is removed; the log of a drill that failed is kept."""
    with tempfile.TemporaryDirectory(prefix="sightline-drill-") as folder:
        root = Path(folder).resolve()
        with small_disk(root / "home", DISK_BYTES) as mounted:
            if not mounted:
                say("No disk of its own can be mounted here (that takes root): it is not filled up.")
            deployment = Deployment(root / "home")
            try:
                return Drill(deployment, seed, mounted, say).run(root / "pictures", images, rounds, pause_s)
            finally:
                deployment.stop()


def main() -> None:
    """Print what happens, then the verdict as JSON; exit status 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills.faults", description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=20, help="kills, shared among the five services")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    options = parser.parse_args()
    verdict = drill(options.images, options.rounds, options.seed, say)
    end(verdict)


if __name__ == "__main__":
    main()
