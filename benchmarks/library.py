"""A made-up library of any size whose embeddings behave like those of an image-text model.

An image and its caption share a meaning (a point in a low-dimensional space of clusters); images lie in one narrow
cone and texts in another, as every contrastively trained pair of encoders leaves them (Liang et al. 2022, "Mind the
Gap"), so that a text is nearer to any caption than to any image. Everything follows from the seed, chunk by chunk:
a million rows are made in bounded memory, and made again the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pyroaring import BitMap
from sqlalchemy import Connection, Engine, text

DIMENSION = 256
LATENT = 48  # dimensions of meaning: about the intrinsic dimension of image embeddings
CLUSTERS = 2_000
CHUNK = 50_000
# Those with triggers that a bulk load need not fire.
TABLES = ("images", "captions", "image_embeddings", "caption_embeddings", "image_tags")
# How much of the library each filter keeps; tag k of the library is the filter of share k.
SHARES = (1.0, 0.5, 0.2, 0.05, 0.01, 0.001, 0.0001)


@dataclass(frozen=True)
class Rows:
    """Image ids (n,) int64 and their unit embeddings (n, DIMENSION) float32, exactly as stored in float16."""

    ids: np.ndarray
    images: np.ndarray
    captions: np.ndarray


class Library:
    """`size` images with ids 1..size, one caption each; the caption's id is the image's. Tag k is shown by a share
    of them drawn at random: see `SHARES`.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size = size
        rng = np.random.default_rng(seed)
        self._centres = rng.normal(size=(CLUSTERS, LATENT)).astype(np.float32)
        self._into_space = (rng.normal(size=(LATENT, DIMENSION)) / np.sqrt(LATENT)).astype(np.float32)
        self._cones = {name: rng.normal(size=DIMENSION).astype(np.float32) for name in ("image", "text")}
        self._seed = seed

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """All image and all caption embeddings, each (size, DIMENSION) float32; row i is image i + 1."""
        images, captions = (np.empty((self.size, DIMENSION), np.float32) for _ in range(2))
        for rows in self.chunks():
            images[rows.ids - 1], captions[rows.ids - 1] = rows.images, rows.captions
        return images, captions

    def chunks(self) -> Iterator[Rows]:
        """All rows in id order."""
        for first in range(0, self.size, CHUNK):
            count = min(CHUNK, self.size - first)
            rng = np.random.default_rng((self._seed, first))
            meaning = self._meaning(rng, count)
            yield Rows(
                np.arange(first + 1, first + count + 1),
                self._embedded(rng, meaning, "image"),
                self._embedded(rng, meaning, "text"),
            )

    def queries(self, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """What one might ask: `count` texts and `count` pictures, each (count, DIMENSION), not in the library."""
        rng = np.random.default_rng((self._seed, 0, seed))
        meaning = self._meaning(rng, count)
        return self._embedded(rng, meaning, "text"), self._embedded(rng, meaning, "image")

    def _meaning(self, rng: np.random.Generator, count: int) -> np.ndarray:
        spread = rng.normal(size=(count, LATENT)).astype(np.float32)
        return self._centres[rng.integers(CLUSTERS, size=count)] + 0.7 * spread

    def _embedded(self, rng: np.random.Generator, meaning: np.ndarray, cone: str) -> np.ndarray:
        noise = rng.normal(size=(len(meaning), DIMENSION)).astype(np.float32)
        return stored_unit(self._cones[cone] + meaning @ self._into_space + 0.3 * noise)


def stored_unit(rows: np.ndarray) -> np.ndarray:
    """Unit rows after the rounding to float16 that Postgres keeps."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows.astype(np.float16).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def keeping(size: int, share: float, seed: int = 5) -> BitMap:
    """A filter that lets `share` of the ids 1..size pass, at least one, drawn at random."""
    count = max(1, round(size * share))
    drawn = np.random.default_rng((seed, size)).permutation(size)[:count] + 1
    return BitMap(drawn.astype(np.uint32))


def fill_postgres(engine: Engine, library: Library, embedder_id: int) -> None:
    """The library's rows into an empty catalogue, then statistics; triggers rest meanwhile."""
    with engine.begin() as live:
        for table in TABLES:
            live.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        _insert_images(live, library.size, embedder_id)
        _insert_tags(live, library.size, embedder_id)
        for rows in library.chunks():
            _copy(live, "image_embeddings (image_id", embedder_id, rows.ids, rows.images)
            _copy(live, "caption_embeddings (caption_id", embedder_id, rows.ids, rows.captions)
        for table in TABLES:
            live.execute(text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as live:
        live.execute(text("VACUUM ANALYZE"))


def _insert_images(live: Connection, size: int, annotator_id: int) -> None:
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
        {"size": size, "who": annotator_id},
    )


def _insert_tags(live: Connection, size: int, annotator_id: int) -> None:
    for number, share in enumerate(SHARES, 1):
        live.execute(
            text("INSERT INTO tags (id, name) OVERRIDING SYSTEM VALUE VALUES (:id, :name)"),
            {"id": number, "name": f"kept by {100 * share:g} %"},
        )
        columns = "COPY image_tags (image_id, tag_id, annotator_id, confidence) FROM STDIN"
        with live.connection.cursor() as cursor, cursor.copy(columns) as copy:
            for image_id in keeping(size, share):
                copy.write_row((image_id, number, annotator_id, 0.9))


def _copy(live: Connection, table: str, annotator_id: int, ids: np.ndarray, rows: np.ndarray) -> None:
    columns = f"COPY {table}, annotator_id, embedding) FROM STDIN (FORMAT BINARY)"
    packed = rows.astype("<f2")
    with live.connection.cursor() as cursor, cursor.copy(columns) as copy:
        copy.set_types(["int8", "int2", "bytea"])
        for number, value in zip(ids.tolist(), packed, strict=True):
            copy.write_row((number, annotator_id, value.tobytes()))
