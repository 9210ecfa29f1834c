"""A long queue: whether throughput holds, memory stays, and a single upload gets through.

    python -m benchmarks.backlog --images 100000

So many made-up pictures are queued at once. Until all are indexed, the rate, where the time goes and every process's
memory are looked at, and now and then one picture is uploaded as a person would: seconds from sending it to its being
found by a search. A shared machine may itself become slower meanwhile: what one matrix product does is measured before
and after, with nothing else running, and the share of the processors that was taken away is told.
"""

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import psutil

from benchmarks.machine_speed import gemm
from benchmarks.memory import memory
from benchmarks.model_report import machine, machine_slug
from tests.drills import photographs
from tests.drills.deployment import Deployment

RESULTS = Path(__file__).parent / "results"
SAMPLE_S = 10.0
UPLOAD_EVERY_S = 45.0
PATIENCE_S = 60.0
LEAST = 5_000


@dataclass(frozen=True)
class Sample:
    """How far it was after so many seconds: images, MB by service, worker seconds by stage, seconds of cores stolen."""

    seconds: float
    indexed: int
    memory: dict[str, float]
    stages: dict[str, float]
    stolen: float


@dataclass
class Backlog:
    """What was seen while the queue was worked off, and the seconds each upload took."""

    samples: list[Sample] = field(default_factory=list)
    uploads: list[float] = field(default_factory=list)

    def report(self) -> dict[str, object]:
        """The first and the last fifth of the work, side by side, and how long uploads took."""
        first, last = self.samples[0], self.samples[-1]
        return {
            "images": last.indexed,
            "seconds": round(last.seconds - first.seconds, 1),
            "first_fifth": self._fifth(0.02, 0.2),
            "last_fifth": self._fifth(0.8, 0.98),
            "uploads": len(self.uploads),
            "upload_median_s": round(float(np.median(self.uploads)), 2) if self.uploads else None,
            "upload_worst_s": round(max(self.uploads), 2) if self.uploads else None,
        }

    def _fifth(self, low: float, high: float) -> dict[str, object]:
        """Between two shares of the work: images a second, worker ms an image by stage, cores stolen, most memory."""
        total = self.samples[-1].indexed
        part = [sample for sample in self.samples if low * total <= sample.indexed <= high * total]
        start, end = part[0], part[-1]
        seconds, images = end.seconds - start.seconds, end.indexed - start.indexed
        return {
            "images_per_s": round(images / seconds, 2),
            "stage_ms": {
                name: round((value - start.stages.get(name, 0.0)) / images * 1000, 2)
                for name, value in end.stages.items()
            },
            "cores_stolen": round((end.stolen - start.stolen) / seconds, 3),
            "memory_mb": {name: max(sample.memory.get(name, 0.0) for sample in part) for name in end.memory},
        }


def work_off(deployment: Deployment, job_id: int, extra: list[tuple[str, bytes, bool]]) -> Backlog:
    """Watch until nothing is waiting, uploading one of `extra` now and then."""
    seen = Backlog()
    started, upload_at = time.monotonic(), time.monotonic() + SAMPLE_S
    with httpx.Client(base_url=deployment.url, timeout=PATIENCE_S) as http:
        while True:
            job = http.get(f"/v1/jobs/{job_id}").json()
            sample = Sample(
                time.monotonic() - started,
                job["indexed"],
                memory(deployment),
                job["stage_seconds"],
                psutil.cpu_times().steal,
            )
            seen.samples.append(sample)
            print(
                f"{sample.seconds:7.0f} s {sample.indexed} {job['failed']} failed {sample.memory}", flush=True
            )
            if job["done"]:
                return seen
            if time.monotonic() > upload_at and extra:
                seen.uploads.append(_upload(http, extra.pop()))
                print(f"{'':9} found {seen.uploads[-1]:.2f} s after it was sent", flush=True)
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
            return work_off(deployment, json.loads(queued.stdout)["job_id"], extra).report()
        finally:
            deployment.stop()


def main() -> None:
    """Print what is seen and write `results/backlog-MACHINE.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backlog", description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    options = parser.parse_args()
    if options.images < LEAST:
        parser.error(f"--images: at least {LEAST:,}; fewer are done before there is anything to compare")
    about = machine()
    before = gemm()
    report = {"machine": about, **run(options.images), "gemm_before": before, "gemm_after": gemm()}
    print(json.dumps(report, indent=2))
    (RESULTS / f"backlog-{machine_slug(about)}.json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
