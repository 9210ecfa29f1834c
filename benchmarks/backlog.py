"""A long queue: whether throughput holds, memory stays, and a single upload gets through.

    python -m benchmarks.backlog --images 100000

So many made-up pictures are queued at once. Until all are indexed, the rate and every process's memory are looked at,
and now and then one picture is uploaded as a person would: seconds from sending it to its being found by a search.
"""

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np

from benchmarks.memory import memory
from benchmarks.model_report import machine, machine_slug
from tests.drills import photographs
from tests.drills.deployment import Deployment

RESULTS = Path(__file__).parent / "results"
SAMPLE_S = 10.0
UPLOAD_EVERY_S = 45.0
PATIENCE_S = 60.0


@dataclass
class Backlog:
    """What was seen while the queue was worked off: (seconds, images indexed), MB by service, upload seconds."""

    indexed: list[tuple[float, int]] = field(default_factory=list)
    memory: list[dict[str, float]] = field(default_factory=list)
    uploads: list[float] = field(default_factory=list)

    def report(self) -> dict[str, object]:
        """Rates of the first and the last fifth of the work, in images a second, and the most memory at either."""
        total = self.indexed[-1][1]
        fifth = max(1, len(self.memory) // 5)
        return {
            "images": total,
            "seconds": round(self.indexed[-1][0] - self.indexed[0][0], 1),
            "first_fifth_per_s": self._rate(0.02, 0.2),
            "last_fifth_per_s": self._rate(0.8, 0.98),
            "memory_first_mb": _most(self.memory[:fifth]),
            "memory_last_mb": _most(self.memory[-fifth:]),
            "uploads": len(self.uploads),
            "upload_median_s": round(float(np.median(self.uploads)), 2),
            "upload_worst_s": round(max(self.uploads), 2),
        }

    def _rate(self, low: float, high: float) -> float:
        """Images a second between two shares of the work."""
        seconds, counts = np.array(self.indexed).T
        start, end = np.interp([low * counts[-1], high * counts[-1]], counts, seconds)
        return round(float((high - low) * counts[-1] / (end - start)), 2)


def _most(samples: list[dict[str, float]]) -> dict[str, float]:
    return {name: max(sample.get(name, 0.0) for sample in samples) for name in samples[0]}


def work_off(deployment: Deployment, extra: list[tuple[str, bytes, bool]]) -> Backlog:
    """Watch until nothing is waiting, uploading one of `extra` now and then."""
    seen = Backlog()
    started, upload_at = time.monotonic(), time.monotonic() + SAMPLE_S
    with httpx.Client(base_url=deployment.url, timeout=PATIENCE_S) as http:
        while True:
            states = http.get("/v1/stats").json()["images"]
            seen.indexed.append((time.monotonic() - started, states["indexed"]))
            seen.memory.append(memory(deployment))
            print(f"{seen.indexed[-1][0]:7.0f} s {states} {seen.memory[-1]}", flush=True)
            if not states["pending"] + states["annotated"]:
                return seen
            if time.monotonic() > upload_at and extra:
                seen.uploads.append(_upload(http, extra.pop()))
                upload_at = time.monotonic() + UPLOAD_EVERY_S
            time.sleep(SAMPLE_S)


def _upload(http: httpx.Client, picture: tuple[str, bytes, bool]) -> float:
    """Seconds from sending one picture to finding it."""
    name, data, _ = picture
    sent = time.monotonic()
    item = http.post("/v1/images", files=[("file", (name, data, "image/jpeg"))]).raise_for_status().json()
    image_id = item["items"][0]["image_id"]
    while time.monotonic() - sent < PATIENCE_S:
        hits = http.get("/v1/search", params={"q": f"id:{image_id}"}).raise_for_status().json()["hits"]
        if hits:
            break
        time.sleep(0.05)
    return time.monotonic() - sent


def run(images: int) -> dict[str, object]:
    """Queue everything, then watch; what was seen."""
    with TemporaryDirectory(prefix="sightline-backlog-") as folder:
        deployment = Deployment(Path(folder).resolve() / "home")
        try:
            photographs.write(Path(folder) / "pictures", images, seed=1)
            extra = [picture for picture in photographs.made_up(400, seed=2) if picture[2]]
            deployment.start()
            queued = deployment.run(
                "index", "--no-wait", "--json", str(Path(folder) / "pictures"), timeout_s=3600
            )
            print(queued.stdout[:300] + queued.stderr[:300], flush=True)
            return work_off(deployment, extra).report()
        finally:
            deployment.stop()


def main() -> None:
    """Print what is seen and write `results/backlog-MACHINE.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backlog", description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    options = parser.parse_args()
    about = machine()
    report = {"machine": about, **run(options.images)}
    print(json.dumps(report, indent=2))
    (RESULTS / f"backlog-{machine_slug(about)}.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
