"""Latency and recall of whole searches (Postgres filter, both Milvus channels, fusion) by library size.

The library is made of clustered random embeddings and tags of fixed frequency; queries are by example, so
no network runs. Beside each search the same question is answered by numpy over everything: that is both
the clock and the truth.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from indexer import local_stack
from indexer.catalog import annotations, connection
from indexer.embeddings import EmbeddingStore
from indexer.old_query import Query, TagFilter
from indexer.predictors import ModelIdentity
from indexer.search import WEIGHTS, Searcher
from indexer.settings import Settings

R = TypeVar("R")
DIMENSION = 256
CLUSTERS = 100
QUERIES = 30
TOP = 10
# Tag -> it is shown by one image in so many.
TAGS = {"half": 2, "tenth": 10, "hundredth": 100}


def run(home: Path, sizes: Sequence[int]) -> None:
    """Print one table, a line per size and filter."""
    servers = local_stack.endpoints(Settings(home=home))
    print(f"\nSearches by example, top {TOP} of two channels, {DIMENSION}-d, {QUERIES} queries each")
    print(
        f"{'images':>8} {'filter':>10} {'p50 ms':>8} {'p95 ms':>8} {'numpy ms':>9} {'ratio':>6} {'recall':>7}"
    )
    for size in sizes:
        connection.migrate(servers.postgres_url)
        engine = connection.connect(servers.postgres_url)
        library = Library(engine, servers.milvus_url, size)
        for name in ("none", *TAGS):
            print(library.measure(name))
        library.clear()
        engine.dispose()


class Library:
    """A made-up library of `size` images in both stores."""

    def __init__(self, engine: Engine, milvus_url: str, size: int) -> None:
        self.engine, self.size = engine, size
        rng = np.random.default_rng(size)
        centres = rng.normal(size=(CLUSTERS, DIMENSION))
        raw = _unit(centres[rng.integers(CLUSTERS, size=size)] + 0.7 * rng.normal(size=(size, DIMENSION)))
        near = _unit(raw + 0.05 * rng.normal(size=(size, DIMENSION)))
        # Truth is what is stored: rounded to float16, then made unit again, as the pipeline does.
        self.packed = annotations.pack(raw), annotations.pack(near)
        self.images, self.captions = _unit(raw.astype(np.float16)), _unit(near.astype(np.float16))
        identity = ModelIdentity("embedder", "benchmark", f"{size:012d}")
        self.store = EmbeddingStore(milvus_url, dimension=DIMENSION, model=identity, timeout_s=120)
        self.store.ensure()
        self._fill(identity)

    def _fill(self, identity: ModelIdentity) -> None:
        with Session(self.engine) as session:
            who = (identity.kind, identity.name, identity.version)
            self.embedder_id = annotations.annotator_id(session, *who)
            connection_ = session.connection()
            _insert_rows(connection_, self.size, self.embedder_id)
            for table, key, rows in (
                ("image_embeddings", "image_id", self.packed[0]),
                ("caption_embeddings", "caption_id", self.packed[1]),
            ):
                _copy(connection_, table, key, self.embedder_id, rows)
            session.commit()
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as live:
            live.execute(text("ANALYZE"))
        ids = list(range(1, self.size + 1))
        self.store.upsert_images(ids, self.images)
        self.store.upsert_captions(ids, ids, self.captions)
        self.store.flush()

    def measure(self, tag: str) -> str:
        """One line of the table for one filter."""
        searcher = Searcher(self.store, embedder=None, embedder_id=self.embedder_id)  # type: ignore[arg-type]
        asked = np.random.default_rng(7).integers(1, self.size + 1, size=QUERIES + 3)
        tags = TagFilter(all=() if tag == "none" else (tag,))
        ours, exact, recalls = [], [], []
        for image_id in map(int, asked):
            query = Query(like_ids=(image_id,), tags=tags, limit=TOP)
            with Session(self.engine) as session:
                seconds, result = _timed(lambda s=session, q=query: searcher.search(s, q))
            wall, truth = _timed(lambda i=image_id: self._exact(i, TAGS.get(tag, 1)))
            found = {hit.image.id for hit in result.hits}
            ours.append(seconds * 1000)
            exact.append(wall * 1000)
            recalls.append(len(found & truth) / max(1, len(truth)))
        ours, exact = ours[3:], exact[3:]  # the first few warm caches
        p50, p95, numpy_ms = np.median(ours), np.percentile(ours, 95), np.median(exact)
        return (
            f"{self.size:>8} {tag:>10} {p50:>8.1f} {p95:>8.1f} {numpy_ms:>9.2f}"
            f" {p50 / numpy_ms:>6.1f} {np.mean(recalls):>7.3f}"
        )

    def _exact(self, image_id: int, step: int) -> set[int]:
        target = self.images[image_id - 1]
        scores = WEIGHTS["image"] * (self.images @ target) + WEIGHTS["caption"] * (self.captions @ target)
        scores[image_id - 1] = -2
        if step > 1:
            scores[np.arange(1, self.size + 1) % step != 0] = -2
        best = np.argpartition(-scores, min(TOP, self.size - 1))[:TOP]
        return {int(i) + 1 for i in best if scores[i] > -2}

    def clear(self) -> None:
        """Empty both stores for the next size."""
        self.store.close()
        with self.engine.begin() as live:
            live.execute(text("TRUNCATE images, annotators, tags RESTART IDENTITY CASCADE"))


def _insert_rows(live, size: int, embedder_id: int) -> None:
    """Images, captions and tags made by Postgres itself; ids are 1..size."""
    live.execute(
        text(
            "INSERT INTO images (id, content_hash, state, bytes, width, height) OVERRIDING SYSTEM VALUE"
            " SELECT i, sha256(i::text::bytea), 'indexed', 1, 1, 1 FROM generate_series(1, :size) i"
        ),
        {"size": size},
    )
    live.execute(
        text(
            "INSERT INTO captions (id, image_id, annotator_id, text) OVERRIDING SYSTEM VALUE"
            " SELECT i, i, :who, 'caption ' || i FROM generate_series(1, :size) i"
        ),
        {"size": size, "who": embedder_id},
    )
    for name, step in TAGS.items():
        tag_id = live.execute(text("INSERT INTO tags (name) VALUES (:name) RETURNING id"), {"name": name})
        live.execute(
            text(
                "INSERT INTO image_tags (image_id, tag_id, annotator_id, confidence)"
                " SELECT i, :tag, :who, 0.9 FROM generate_series(1, :size) i WHERE i % :step = 0"
            ),
            {"tag": tag_id.scalar_one(), "who": embedder_id, "size": size, "step": step},
        )


def _copy(live, table: str, key: str, annotator_id: int, packed: list[bytes]) -> None:
    columns = f"COPY {table} ({key}, annotator_id, embedding) FROM STDIN"
    with live.connection.cursor() as cursor, cursor.copy(columns) as copy:
        for number, value in enumerate(packed, 1):
            copy.write_row((number, annotator_id, value))


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _timed(work: Callable[[], R]) -> tuple[float, R]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
