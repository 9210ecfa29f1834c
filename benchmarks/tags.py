"""Tag-only searches, facets and autocomplete over a large library: how fast, with how much memory, while others write.

    python -m benchmarks.tags --images 1000000

Beside the clock stands the processor time that it took, ours and Postgres's together: on a machine that does other
things as well, as the load average tells, the clock says little.

Made-up images, each with 30 tags of 10,000 drawn by Zipf's law, in a private home that is removed afterwards
(`--home FOLDER` keeps it, filled, for the next run: about 4 GB for a million images). A search is timed from its text
to the facets and the 50 hits of its first page; each takes a view of its own, which asks what has changed.
"""

import argparse
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session, sessionmaker

from benchmarks import tag_library, tag_report
from indexer import local_stack, query
from indexer.catalog import connection, hits, names
from indexer.postings import FIELDS, Postings
from indexer.query import Order, Query
from indexer.settings import Settings
from indexer.stage_clock import StageClock
from tests.caretaker import cared_for

TAGS, EACH = 10_000, 30
SEARCHES = 400
PAGE = 50
TYPED = 500
# Conditions by place; each place is another tag, the commoner the likelier.
SHAPES = (
    *("tag:{0}", "tag:{0} tag:{1}", "tag:{0} -tag:{1}", "(tag:{0} or tag:{1})", "tag:{0} tag:{1} tag:{2}"),
    *("tag:{0} (tag:{1} or tag:{2})", "tag:{0} tag:{1} -tag:{2}", "(tag:{0} or tag:{1}) -tag:{2}"),
)
SURELY = ("tag:{0},>=0.7", "tag:{0},>=0.5 tag:{1}", "tag:{0},>=0.8 -tag:{1}")
WRITTEN_AT_ONCE, PAUSE_S = 20, 0.1
Sessions = sessionmaker[Session]
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tags",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--searches", type=int, default=SEARCHES, help="of each kind")
    parser.add_argument("--home", type=Path, help="keep the made-up library here")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as folder:
        home = options.home or Path(folder) / "tags"
        with cared_for(home):
            run(home, options.images, options.searches, options.results)


def run(home: Path, images: int, searches: int = SEARCHES, results: Path | None = None) -> None:
    """Fill the home, unless it is filled, measure, print and write what was found."""
    settings = Settings(home=home, postgres_url=None, redis_url=None, milvus_url=None, storage_url=None)
    url = local_stack.endpoints(settings).postgres_url
    connection.migrate(url)
    engine = connection.connect(url)
    filled_s = _filled(engine, images)
    study = Study(connection.sessions(engine), images, searches, Processors(home))
    report = {
        "images": images,
        "tags": TAGS,
        "tags_each": EACH,
        "date": time.strftime("%Y-%m-%d"),
        "filled_s": filled_s,
        "load_average": psutil.getloadavg()[0],
        "load": study.load(),
        "searches": [*study.searches(), study.while_written(url)],
        "autocomplete": study.autocomplete(),
        "plan": study.plan(),
    }
    tag_report.write(report, results)
    engine.dispose()


def _filled(engine: Engine, images: int) -> float:
    with Session(engine) as session:
        if session.scalar(text("SELECT count(*) FROM images")):
            return 0.0
    started = time.perf_counter()
    tag_library.fill(engine, images, TAGS, EACH)
    return time.perf_counter() - started


class Processors:
    """Processor time of this process and of the Postgres at `home`."""

    def __init__(self, home: Path) -> None:
        number = (home / "postgres" / "postmaster.pid").read_text().split()[0]
        self._postgres, self._own = psutil.Process(int(number)), psutil.Process()

    def seconds(self) -> float:
        """So far; processes of Postgres that have ended included."""
        spent = self._own.cpu_times()
        total = spent.user + spent.system
        for process in (self._postgres, *self._postgres.children()):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        return total


class Study:
    """Measurements over one library, whose sets are loaded once."""

    def __init__(self, sessions: Sessions, images: int, searches: int, processors: Processors) -> None:
        self.sessions, self.images, self.searches_each = sessions, images, searches
        self.processors = processors
        self.postings = Postings()
        self.rng = np.random.default_rng(5)
        self.popularity = tag_library.popularity(TAGS)
        self.names = tag_library.names(TAGS)

    def load(self) -> list[Row]:
        """Seconds to read each field whole, and bytes an image that it takes."""
        rows = []
        process = psutil.Process()
        resident = process.memory_info().rss
        with self.sessions() as session:
            view = self.postings.view(session)
            for field in ("searchable", *FIELDS):
                before, spent = self.postings.bytes_kept, self.processors.seconds()
                started = time.perf_counter()
                _ = view.searchable if field == "searchable" else view.family(field)  # type: ignore[arg-type]
                seconds = time.perf_counter() - started
                rows.append(
                    {
                        "what": field,
                        "seconds": seconds,
                        "processor_seconds": self.processors.seconds() - spent,
                        "bytes_an_image": (self.postings.bytes_kept - before) / self.images,
                    }
                )
                print(f"  {field:12} {seconds:8.2f} s", flush=True)
        grown = process.memory_info().rss - resident
        return [*rows, {"what": "whole process", "bytes_an_image": grown / self.images}]

    def searches(self) -> Iterator[Row]:
        """Each kind of search by itself, nobody writing."""
        self._all(SHAPES, None, self.searches_each // 10)  # connections and caches warm up
        yield self._kind("1-3 tags, newest first", SHAPES, None)
        yield self._kind("1-3 tags, by date", SHAPES, Order("taken"))
        yield self._kind("1-3 tags, by size", SHAPES, Order("size"))
        yield self._kind("with a confidence, each for the first time", SURELY, None)

    def while_written(self, url: str) -> Row:
        """Searches while another process annotates images anew."""
        with _writer(url, self.images):
            return self._kind("1-3 tags while 20 images change every 0.1 s", SHAPES, None)

    def autocomplete(self) -> Row:
        """Beginnings of tags' names, commoner tags typed oftener, one letter to eight."""
        with self.sessions() as session:
            self.postings.view(session).complete("a")
        typed = [self.names[tag][: self.rng.integers(1, 9)] for tag in self._tags(TYPED)]
        times, spent = [], self.processors.seconds()
        for prefix in typed:
            started = time.perf_counter()
            with self.sessions() as session:
                assert self.postings.view(session).complete(prefix)
            times.append((time.perf_counter() - started) * 1000)
        spent = (self.processors.seconds() - spent) * 1000 / len(times)
        return {"what": "autocomplete", **_percentiles(times), "processor": spent}

    def plan(self) -> list[str]:
        """How Postgres reads one tag's images."""
        statement = "EXPLAIN SELECT image_id FROM image_tags WHERE tag_id = 100 GROUP BY image_id"
        with self.sessions() as session:
            return [str(row[0]) for row in session.execute(text(statement))]

    def _tags(self, count: int) -> np.ndarray:
        return self.rng.choice(TAGS, count, p=self.popularity)

    def _kind(self, what: str, shapes: Sequence[str], order: Order | None) -> Row:
        spent = self.processors.seconds()
        totals, stages, sizes = self._all(shapes, order, self.searches_each)
        spent = (self.processors.seconds() - spent) * 1000 / len(totals)
        row: Row = {"what": what, "searches": len(totals), **_percentiles(totals), "processor": spent}
        row["images_found"] = float(np.median(sizes))
        row["stages_p95"] = {name: float(np.percentile(values, 95)) for name, values in stages.items()}
        print(
            f"  {what:46} p50 {row['p50']:7.1f} p95 {row['p95']:7.1f} processor {spent:7.1f} ms", flush=True
        )
        return row

    def _all(
        self, shapes: Sequence[str], order: Order | None, count: int
    ) -> tuple[list[float], dict[str, list[float]], list[int]]:
        totals: list[float] = []
        stages: dict[str, list[float]] = {}
        sizes = []
        for number in range(count):
            chosen = [f'"{self.names[tag]}"' for tag in self._tags(3)]
            clock = StageClock()
            started = time.perf_counter()
            with clock.running():
                sizes.append(self._search(shapes[number % len(shapes)].format(*chosen), order, clock))
            totals.append((time.perf_counter() - started) * 1000)
            for name, seconds in clock.seconds.items():
                stages.setdefault(name, []).append(seconds * 1000)
        return totals, stages, sizes

    def _search(self, words: str, order: Order | None, clock: StageClock) -> int:
        """One search as the API makes it; how many images it finds."""
        with self.sessions() as session:
            with clock.stage("parse"):
                asked: Query = names.resolve(session, query.parse(words))
            with clock.stage("view"):
                view = self.postings.view(session)
            with clock.stage("filter"):
                found = view.matching(asked.filter)
            with clock.stage("page"):
                ids, _ = view.page(found, order or Order("added"), PAGE)
            with clock.stage("facets"):
                view.facets(asked.filter, None, FIELDS)
            with clock.stage("hits"):
                assert len(hits.load(session, ids)) == min(PAGE, len(found))
        return len(found)


def _percentiles(times: Sequence[float]) -> dict[str, float]:
    return {f"p{part}": float(np.percentile(times, part)) for part in (50, 95, 99)} | {"max": max(times)}


@contextmanager
def _writer(url: str, images: int) -> Iterator[None]:
    """Another process that replaces the tags of some images, again and again."""
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    process = spawn.Process(target=_write, args=(url, images, stop))
    process.start()
    try:
        time.sleep(1.0)
        yield
    finally:
        stop.set()
        process.join()


def _write(url: str, images: int, stop: threading.Event) -> None:
    engine = connection.connect(url)
    rng = np.random.default_rng(9)
    while not stop.wait(PAUSE_S):
        chosen = np.unique(rng.integers(1, images + 1, WRITTEN_AT_ONCE))
        drawn = tag_library.draw(rng, len(chosen), TAGS, EACH)
        rows = [
            {"image": int(image), "tag": int(tag), "surely": float(rng.uniform(0.3, 1))}
            for image, tags in zip(chosen, drawn, strict=True)
            for tag in tags
        ]
        with engine.begin() as live:
            live.execute(
                text("DELETE FROM image_tags WHERE annotator_id = 1 AND image_id = ANY(:ids)"),
                {"ids": chosen.tolist()},
            )
            live.execute(
                text(
                    "INSERT INTO image_tags (image_id, tag_id, annotator_id, confidence)"
                    " VALUES (:image, :tag, 1, :surely)"
                ),
                rows,
            )
    engine.dispose()


if __name__ == "__main__":
    main()
