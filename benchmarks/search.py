"""Latency and recall of nearest-image search under filters, beside a numpy exact scan of the same vectors.

    python -m benchmarks.search --sizes 10000 100000
    python -m benchmarks.search --sizes 1000000 --milvus http://127.0.0.1:19530

The library is made up (`benchmarks.library`) and fills a database of its own for each size, and Milvus: the private
Milvus Lite, or a server that somebody else has started. What is filled stays in `--home` for the next time.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pyroaring import BitMap
from sqlalchemy import Engine, make_url, text
from threadpoolctl import threadpool_limits

from benchmarks import search_report
from benchmarks.library import DIMENSION, SHARES, Library, fill_postgres, keeping
from indexer import local_stack
from indexer.catalog import annotations, connection
from indexer.embeddings import EmbeddingStore
from indexer.errors import QueryError
from indexer.nearest import Nearest, Target
from indexer.postings import Postings
from indexer.predictors import ModelIdentity
from indexer.query import Order, TagIs
from indexer.settings import Settings
from tests.caretaker import cared_for

R = TypeVar("R")
TOP = 10
WARM_UP = 8  # searches before those that count: caches fill, the planner learns
SIGMA = 0.096  # of the cosines of one query with the whole library: what the searcher divides by
WEIGHTS = {"image": 0.7 / SIGMA, "caption": 0.3 / SIGMA}
BONUS_SHARE = 0.05  # of the library shows the tag a fused query names
KINDS = ("text", "image", "fused")
SINGLE = ("exact", "stored", "ids", "overfetch", "stream")
CELL_S = 1.0  # a single plan that is slow is asked for no longer than this, but once at least
SLOW = 200_000  # images whose embeddings take Postgres seconds


@dataclass(frozen=True)
class Cell:
    """One kind of query under one filter, answered one way; times in milliseconds.

    `mode`: `planner` (embeddings in memory), `planner without memory`, a plan's name, or `numpy`.
    """

    size: int
    milvus: str
    kind: str
    share: float
    mode: str
    queries: int
    p50: float
    p95: float
    p99: float
    recall: float | None
    plans: dict[str, int]


class Measured:
    """A library filled into both stores, its vectors and the ways to search it."""

    def __init__(
        self, size: int, engine: Engine, milvus_url: str, queries: int, *, memory_only: bool
    ) -> None:
        self.library, self.engine, self.queries = Library(size), engine, queries
        self.memory_only = memory_only
        identity = ModelIdentity("embedder", "benchmark", f"{size:012d}")
        self.store = EmbeddingStore(milvus_url, dimension=DIMENSION, model=identity, timeout_s=120)
        self.embedder_id = _fill_catalogue(self.library, engine, identity)
        self.store.ensure()
        if not memory_only:
            _fill_milvus(self.library, self.store)
        self.images, self.captions = self.library.arrays()
        self.sessions = connection.sessions(engine)
        self.ids = BitMap(range(1, size + 1))
        self.filters = {share: keeping(size, share) for share in SHARES}
        self.in_memory = Nearest(self.store, self.embedder_id, 4 * 2**30)
        self.in_memory.load(self.sessions).join()
        self.bare = Nearest(self.store, self.embedder_id, 0)
        self.milvus = "Milvus Lite" if self.store.exact else "Milvus server"
        if memory_only:
            self.milvus = "no Milvus"

    def cells(self) -> Iterator[Cell]:
        """Everything there is to say of this size."""
        yield from self._tags_only()
        for kind in KINDS:
            targets = list(self._targets(kind))
            with threadpool_limits(os.cpu_count(), user_api="blas"):  # numpy as it is where nobody limits it
                scores = [_timed(lambda t=target: self._all_scores(t)) for target in targets]
            for share in SHARES:
                truth, numpy_ms = self._exact_scan(scores, share)
                yield self._cell(kind, share, "numpy", numpy_ms, None, {})
                yield self._asked(kind, share, "planner", targets, truth, self.in_memory, None)
                if not self.memory_only:
                    yield self._asked(kind, share, "planner without memory", targets, truth, self.bare, None)
                if kind == "text":
                    yield from self._single_plans(kind, share, targets, truth)

    def _single_plans(
        self, kind: str, share: float, targets: Sequence[Target], truth: list[np.ndarray]
    ) -> Iterator[Cell]:
        for plan in SINGLE:
            if self._hopeless(plan, share):
                continue
            nearest = self.in_memory if plan == "exact" else self.bare
            try:
                yield self._asked(kind, share, plan, targets, truth, nearest, plan)
            except QueryError:
                continue  # this plan cannot answer this

    def _hopeless(self, plan: str, share: float) -> bool:
        """Not filled, or many seconds a search: reading most of a large library from Postgres, filter or none."""
        if self.memory_only and plan in ("ids", "overfetch"):
            return True
        if plan == "stream":
            return self.library.size > SLOW
        return plan == "stored" and len(self.filters[share]) > SLOW

    def _targets(self, kind: str) -> Iterator[Target]:
        texts, pictures = self.library.queries(self.queries + WARM_UP)
        shown = np.array(keeping(self.library.size, BONUS_SHARE, seed=6), np.int64)
        worth = np.random.default_rng(8).uniform(0.3, 2.0, len(shown)).astype(np.float32)
        for words, picture in zip(texts, pictures, strict=True):
            if kind == "image":
                yield Target({"image": picture}, {"image": 1.0})
            elif kind == "text":
                yield Target({"image": words, "caption": words}, WEIGHTS)
            else:
                yield Target({"image": words, "caption": words}, WEIGHTS, {}, shown, worth)

    def _all_scores(self, target: Target) -> np.ndarray:
        rows = {"image": self.images, "caption": self.captions}
        scores = sum(np.float32(target.weights[c]) * (rows[c] @ v) for c, v in target.vectors.items())
        scores[target.bonus_ids - 1] += target.bonus
        return scores

    def _exact_scan(
        self, scores: list[tuple[float, np.ndarray]], share: float
    ) -> tuple[list[np.ndarray], list[float]]:
        """For each query the ids whose scores are a match for the tenth, and what finding the ten took numpy."""
        kept = np.array(self.filters[share], np.int64) - 1
        truth, times = [], []
        for scan_ms, of_all in scores:
            select_ms, tenth = _timed(lambda s=of_all: _tenth(s, kept))
            times.append(scan_ms + select_ms)
            truth.append(kept[of_all[kept] >= tenth - 1e-5] + 1)
        return truth, times

    def _asked(
        self,
        kind: str,
        share: float,
        mode: str,
        targets: Sequence[Target],
        truth: list[np.ndarray],
        nearest: Nearest,
        plan: Any,
    ) -> Cell:
        within = None if share == 1 else self.filters[share]
        times, recalls, plans = [], [], Counter[str]()
        started = time.perf_counter()
        for target, best in zip(targets, truth, strict=True):
            if plan and times and time.perf_counter() - started > CELL_S:
                break
            with self.sessions() as session:
                ms, found = _timed(
                    lambda s=session, t=target: nearest.search(
                        s, t, within=within, library=self.ids, limit=TOP, plan=plan
                    )
                )
            times.append(ms)
            plans[found.plan.name] += 1
            recalls.append(np.isin(found.ids, best).sum() / min(TOP, len(self.filters[share])))
        return self._cell(kind, share, mode, times, float(np.mean(recalls)), dict(plans))

    def _tags_only(self) -> Iterator[Cell]:
        """A filter and nothing else: the set from the postings, and the newest of it."""
        postings = Postings()
        for number, share in enumerate(SHARES, 1):
            node, times = TagIs(f"kept by {100 * share:g} %", tag_id=number), []
            for _ in range(self.queries + WARM_UP):
                with self.sessions() as session:
                    ms, kept = _timed(lambda s=session, n=node: _newest(postings, s, n))
                times.append(ms)
            recall = float(kept == self.filters[share])
            yield self._cell("tags only", share, "planner", times, recall, {"postings": len(times)})

    def _cell(
        self,
        kind: str,
        share: float,
        mode: str,
        times: list[float],
        recall: float | None,
        plans: dict[str, int],
    ) -> Cell:
        warm = times[WARM_UP:] if len(times) > 2 * WARM_UP else times[len(times) // 2 :]
        p50, p95, p99 = (round(float(np.percentile(warm, p)), 3) for p in (50, 95, 99))
        return Cell(
            self.library.size, self.milvus, kind, share, mode, len(warm), p50, p95, p99, recall, plans
        )


def _newest(postings: Postings, session: Any, node: TagIs) -> BitMap:
    view = postings.view(session)
    kept = view.matching(node)
    view.page(kept, Order("added"), TOP)
    return kept


def _tenth(scores: np.ndarray, kept: np.ndarray) -> float:
    """The tenth greatest score among `kept`: the ten are found on the way."""
    among = scores if len(kept) == len(scores) else scores[kept]
    best = np.argpartition(-among, min(TOP, len(among) - 1))[:TOP]
    return float(among[best].min())


def _fill_catalogue(library: Library, engine: Engine, identity: ModelIdentity) -> int:
    with connection.sessions(engine).begin() as session:
        who = (identity.kind, identity.name, identity.version)
        embedder_id = annotations.annotator_id(session, *who)
        filled = session.scalar(text("SELECT count(*) FROM image_embeddings"))
    if filled != library.size:
        fill_postgres(engine, library, embedder_id)
    return embedder_id


def _fill_milvus(library: Library, store: EmbeddingStore) -> None:
    if store.count("captions") != library.size:
        for rows in library.chunks():
            ids = rows.ids.tolist()
            store.upsert_images(ids, rows.images)
            store.upsert_captions(ids, ids, rows.captions)
        store.flush()


def _database(server_url: str, size: int) -> Engine:
    """A database for one size, made if need be."""
    name = f"search_{size}"
    admin = connection.connect(server_url).execution_options(isolation_level="AUTOCOMMIT")
    with admin.connect() as live:
        if not live.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}):
            live.execute(text(f'CREATE DATABASE "{name}"'))
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    connection.migrate(url)
    return connection.connect(url)


def _timed(work: Callable[[], R]) -> tuple[float, R]:
    started = time.perf_counter()
    result = work()
    return (time.perf_counter() - started) * 1000, result


def run(
    home: Path,
    sizes: Sequence[int],
    queries: int = 100,
    milvus_url: str | None = None,
    *,
    memory_only: bool = False,
) -> None:
    """Measure each size and write what was found to `benchmarks/results`."""
    servers = local_stack.endpoints(Settings(home=home, milvus_url=milvus_url))
    for size in sizes:
        engine = _database(servers.postgres_url, size)
        measured = Measured(size, engine, servers.milvus_url, queries, memory_only=memory_only)
        cells = []
        for cell in measured.cells():
            cells.append(asdict(cell))
            print(search_report.line(cells[-1]), flush=True)
        search_report.save(cells)
        measured.store.close()
        engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000, 100_000], help="images in the library"
    )
    parser.add_argument("--milvus", help="address of a Milvus server; none: a private Milvus Lite")
    parser.add_argument("--home", type=Path, default=Path.home() / ".sightline-bench", help="what is filled")
    parser.add_argument("--queries", type=int, default=100, help="for each cell")
    parser.add_argument("--memory-only", action="store_true", help="leave Milvus empty and what needs it out")
    options = parser.parse_args()
    with cared_for(options.home):
        run(options.home, options.sizes, options.queries, options.milvus, memory_only=options.memory_only)


if __name__ == "__main__":
    main()
