"""Many people searching at once: where the API saturates, and whether it grows.

    python -m benchmarks.load                          # 1 to 200 searches at a time, 60 s at 200
    python -m benchmarks.load --soak 20                # then twenty minutes of it, memory looked at every 15 s
    python -m benchmarks.load --home ~/.sightline      # over a library of yours, started and stopped here

Searches by meaning, by tags, by both with facets, and pages of images in order, each client waiting for one answer
before it asks for the next. Clients run in a process of their own on the same machine, so they take cores too.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, urlsplit

import numpy as np

from benchmarks.memory import memory
from benchmarks.model_report import machine, machine_slug
from tests.drills import photographs
from tests.drills.deployment import SERVICES, Deployment

RESULTS = Path(__file__).parent / "results"
CONCURRENT = (1, 2, 5, 10, 20, 50, 100, 200)
LONGEST_S = 60.0
SHORT_S = 10.0
SAMPLE_S = 15.0
PATHS = (
    "/v1/search?limit=24&q=" + quote("a dog in the snow"),
    "/v1/search?limit=24&q=" + quote("two people on a red bicycle"),
    "/v1/search?limit=24&facets=tag,format&q=" + quote("water tag:person"),
    "/v1/search?limit=24&q=" + quote("tag:person -tag:dog order:added"),
    "/v1/search?limit=24&q=" + quote("has:caption order:size"),
)


@dataclass(frozen=True)
class Load:
    """So many searches at a time for so long: what came of it. Times in milliseconds, memory in MB."""

    concurrent: int
    seconds: float
    answered: int
    failed: dict[str, int]
    per_second: float
    p50: float
    p95: float
    p99: float
    memory: dict[str, float]


def asked(url: str, concurrent: int, seconds: float) -> tuple[list[float], dict[str, int]]:
    """Milliseconds of each search that was answered, and what became of the others."""
    return asyncio.run(_ask(url, concurrent, seconds))


async def _ask(url: str, concurrent: int, seconds: float) -> tuple[list[float], dict[str, int]]:
    times: list[float] = []
    failed: Counter[str] = Counter()
    until = time.monotonic() + seconds
    await asyncio.gather(*(_client(url, number, until, times, failed) for number in range(concurrent)))
    return times, dict(failed)


async def _client(url: str, number: int, until: float, times: list[float], failed: Counter[str]) -> None:
    """One person: a connection kept open, one search after the other."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    while time.monotonic() < until:
        request = f"GET {PATHS[number % len(PATHS)]} HTTP/1.1\r\nHost: {at.netloc}\r\n\r\n"
        started = time.perf_counter()
        writer.write(request.encode())
        try:
            status = await _answer(reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            failed[type(error).__name__] += 1
            reader, writer = await asyncio.open_connection(at.hostname, at.port)
            continue
        if status == 200:
            times.append((time.perf_counter() - started) * 1000)
        else:
            failed[str(status)] += 1
        number += 1
    writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read one answer to its end; its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    length = next(int(x.split(":")[1]) for x in lines if x.lower().startswith("content-length:"))
    await reader.readexactly(length)
    return int(lines[0].split()[1])


def measure(deployment: Deployment, concurrent: int, seconds: float) -> Load:
    """Ask from another process and sum up."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as clients:
        times, failed = clients.submit(asked, deployment.url, concurrent, seconds).result()
    p50, p95, p99 = np.percentile(times, [50, 95, 99]) if times else (np.nan,) * 3
    found = [round(float(value), 1) for value in (p50, p95, p99)]
    return Load(
        concurrent,
        seconds,
        len(times),
        failed,
        round(len(times) / seconds, 1),
        *found,
        memory=memory(deployment),
    )


def soak(deployment: Deployment, minutes: float, concurrent: int = 10) -> dict[str, object]:
    """MB of each service that no file backs while it is searched all the time, at a quarter and at the end."""
    samples = []
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as clients:
        asking = clients.submit(asked, deployment.url, concurrent, minutes * 60)
        while not asking.done():
            time.sleep(SAMPLE_S)
            samples.append(memory(deployment, "anonymous"))
        times, failed = asking.result()
    settled = samples[len(samples) // 4 :]
    growth = {name: _slope([sample[name] for sample in settled]) for name in SERVICES}
    return {
        "minutes": minutes,
        "answered": len(times),
        "failed": failed,
        "p99": round(float(np.percentile(times, 99)), 1),
        "settled_mb": settled[0],
        "end_mb": settled[-1],
        "growth_mb_per_hour": growth,
    }


def _slope(values: list[float]) -> float:
    """Of a line through the samples, in MB an hour."""
    hours = np.arange(len(values)) * SAMPLE_S / 3600
    return round(float(np.polyfit(hours, values, 1)[0]), 1) if len(values) > 1 else 0.0


@contextmanager
def library(home: Path | None, images: int) -> Iterator[Deployment]:
    """The library at `home`, or one of made-up pictures that is removed at the end."""
    with TemporaryDirectory(prefix="sightline-load-") as folder:
        deployment = Deployment((home or Path(folder) / "home").resolve())
        try:
            deployment.start()
            if home is None:
                photographs.write(Path(folder) / "pictures", images, seed=1)
                deployment.run("index", "--json", str(Path(folder) / "pictures"), timeout_s=3600)
            yield deployment
        finally:
            deployment.stop()


def main() -> None:
    """Print a line for each load and write `results/load-MACHINE.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--home", type=Path, help="a library of yours; none: made-up pictures")
    parser.add_argument("--images", type=int, default=2000, help="made-up pictures")
    parser.add_argument("--concurrent", type=int, nargs="+", default=CONCURRENT)
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES")
    options = parser.parse_args()
    about = machine()
    found: dict[str, object] = {"machine": about}
    with library(options.home, options.images) as deployment:
        measure(deployment, 2, 5)  # caches fill
        loads = []
        for concurrent in options.concurrent:
            seconds = LONGEST_S if concurrent == max(options.concurrent) else SHORT_S
            loads.append(asdict(measure(deployment, concurrent, seconds)))
            print(json.dumps(loads[-1]), flush=True)
        found["loads"] = loads
        if options.soak:
            found["soak"] = soak(deployment, options.soak)
            print(json.dumps(found["soak"]), flush=True)
    (RESULTS / f"load-{machine_slug(about)}.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
