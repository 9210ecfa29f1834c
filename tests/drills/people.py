"""Those who use the library while it is being broken, and what they were promised."""

import random
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.drills.deployment import Deployment

PATIENCE_S = 30.0
QUERIES = (
    {"q": "a dog in the snow"},
    {"q": "red and blue"},
    {"q": "order:added"},
    {"q": "a person tag:person", "facets": "tag,format"},
    {"q": "has:caption -tag:dog"},
)


@dataclass(frozen=True)
class Failure:
    """One request that was not answered as wished: when it was sent and ended, seconds by the monotonic clock.

    `blames`: the service its answer names, or `api` where there was no answer.
    """

    what: str
    sent: float
    ended: float
    blames: str
    detail: str


@dataclass
class Ledger:
    """What was acknowledged, and what failed."""

    uploads: dict[str, int] = field(default_factory=dict)  # file name -> image id
    tags: set[tuple[int, str]] = field(default_factory=set)
    answered: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)


class Person(threading.Thread, ABC):
    """Somebody who does one thing again and again until told to stop."""

    def __init__(self, deployment: Deployment, ledger: Ledger, seed: int) -> None:
        super().__init__(daemon=True, name=type(self).__name__)
        self.deployment, self.ledger = deployment, ledger
        self.rng = random.Random(seed)
        self.done = threading.Event()
        self.http = httpx.Client(base_url=deployment.url, timeout=PATIENCE_S)

    def run(self) -> None:
        """Until `done` is set, or there is nothing left to do."""
        while not self.done.is_set() and self.act():
            pass
        self.http.close()

    @abstractmethod
    def act(self) -> bool:
        """Do it once; whether there is more to do."""

    def ask(self, what: str, method: str, path: str, **options: object) -> httpx.Response | None:
        """The answer if it is one of success; what else came is written down."""
        sent = time.monotonic()
        try:
            answer = self.http.request(method, path, **options)  # type: ignore[arg-type]
        except httpx.HTTPError as error:
            self._failed(what, sent, "api", repr(error))
            self.done.wait(0.2)
            return None
        if answer.is_success:
            self.ledger.answered[what] += 1
            return answer
        body = answer.json()
        self._failed(what, sent, str(body.get("service", answer.status_code)), str(body.get("detail")))
        self.done.wait(0.2)
        return None

    def _failed(self, what: str, sent: float, blames: str, detail: str) -> None:
        self.ledger.failures.append(Failure(what, sent, time.monotonic(), blames, detail))


class Searcher(Person):
    """Searches by meaning, by tags and by both."""

    def act(self) -> bool:
        """One search."""
        answer = self.ask("search", "GET", "/v1/search", params={**self.rng.choice(QUERIES), "limit": 20})
        if answer is not None:
            ids = [hit["id"] for hit in answer.json()["hits"]]
            assert len(ids) == len(set(ids)), f"an image twice in one answer: {ids}"
        self.done.wait(self.rng.uniform(0.02, 0.2))
        return True


class Uploader(Person):
    """Sends pictures a few at a time, and again until each is acknowledged."""

    def __init__(
        self, deployment: Deployment, ledger: Ledger, seed: int, files: list[Path], pace_s: float
    ) -> None:
        super().__init__(deployment, ledger, seed)
        self.left, self.pace_s = list(files), pace_s

    def act(self) -> bool:
        """One request of one to eight pictures."""
        batch = self.left[: self.rng.randint(1, 8)]
        parts = [("file", (path.name, path.read_bytes(), "image/jpeg")) for path in batch]
        answer = self.ask("upload", "POST", "/v1/images", files=parts)
        if answer is not None:
            for item in answer.json()["items"]:
                self.ledger.uploads[item["name"]] = item["image_id"]
            self.left = self.left[len(batch) :]
        self.done.wait(self.rng.uniform(0, 2 * self.pace_s * len(batch)))
        return bool(self.left)


class Editor(Person):
    """Says of pictures what they show."""

    def act(self) -> bool:
        """One statement on one of the pictures that were taken in."""
        known = list(self.ledger.uploads.values())
        if known:
            image_id, tag = self.rng.choice(known), f"drill {self.rng.randint(1, 5)}"
            if self.ask("edit", "PUT", f"/v1/images/{image_id}/tags/{tag}") is not None:
                self.ledger.tags.add((image_id, tag))
        self.done.wait(self.rng.uniform(0.1, 0.4))
        return True


class Librarian(Person):
    """Indexes a folder from the command line, and again if the command did not get through."""

    def __init__(self, deployment: Deployment, ledger: Ledger, seed: int, folder: Path) -> None:
        super().__init__(deployment, ledger, seed)
        self.folder = folder
        self.runs: list[subprocess.CompletedProcess[str]] = []

    def act(self) -> bool:
        """One run of the command; 3 says that some files could not be used."""
        self.runs.append(self.deployment.run("index", "--json", str(self.folder), timeout_s=1800))
        return self.runs[-1].returncode not in (0, 3)
