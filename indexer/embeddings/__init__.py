"""Embeddings in Milvus: derived data, rebuilt at any time from what the catalogue and the store hold.

Two collections for each embedding model, `images_<version>` and `captions_<version>`, one row an image or a
caption, with the aliases `images` and `captions` naming the version in effect. Vectors are L2-normalised, so
the inner product is the cosine. A store reads and writes the collections of its own model: vectors of two
models never mix. It knows no tags: a filter arrives as the ids that pass it.

Milvus Lite gets a FLAT index, which is exact, also under a filter. A Milvus server gets HNSW, searched with
`ef >= 256`; where that returns fewer rows than pass the filter, those are fetched and scored exactly.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.embeddings.connection import MilvusConnection, Refused
from indexer.embeddings.vectors import InvalidEmbedding, Vectors, checked
from indexer.errors import ConfigurationError, QueryError

__all__ = ["MAX_LIMIT", "Channel", "EmbeddingStore", "InvalidEmbedding", "ModelVersion", "Vectors"]

Channel = Literal["images", "captions"]

MAX_LIMIT = 16_384  # Milvus's own bound on what one search returns
WITHIN_CHUNK = 50_000  # ids in one expression: each costs less the more there are; this is half a megabyte
WRITE_CHUNK = 1_000  # rows in one request; also the most that Lite holds unflushed, where searches are slow
OVERFETCH_FROM = 16_384  # ids from which an unfiltered search, filtered here, is tried first on a FLAT index
_HNSW_BUILD = {"M": 16, "efConstruction": 200}
_MIN_EF = 256
_RACE_S = 2.0
_PAGE = 2_000  # rows, or ids with their vectors (4 MB at 512 dimensions), fetched at once
_OUTPUT: dict[Channel, list[str]] = {"images": ["id"], "captions": ["id", "image_id"]}


class ModelVersion(Protocol):
    """What names a collection: see `predictors.ModelIdentity`."""

    @property
    def name(self) -> str:
        """For messages."""
        ...

    @property
    def version(self) -> str:
        """For the collections' names."""
        ...


class EmbeddingStore:
    """Image and caption embeddings of one model.

    `url` is `http(s)://host:port` or `unix:/path`; `dimension` is the length of a vector; `model.version`
    names the collections. `timeout_s` bounds each request. `write_lock()` is held around every change:
    Milvus Lite silently corrupts its log under two writers, so there it must exclude every other writer of
    this Milvus. It is never taken twice at once. Safe to share among threads; usable after a fork.

    Every method raises `ServiceUnavailable` when Milvus does not answer or refuses. A restarted Milvus is
    reconnected to and its collections are loaded again without the caller noticing.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        dimension: int,
        model: ModelVersion,
        timeout_s: float = 10.0,
        write_lock: Callable[[], AbstractContextManager[Any]] = nullcontext,
        index: Literal["FLAT", "HNSW"] | None = None,
    ) -> None:
        self._milvus = MilvusConnection(url, token, timeout_s)
        self._dimension = dimension
        self._model = model
        self._write_lock = write_lock
        self._index = index
        self._unflushed: dict[Channel, int] = {"images": 0, "captions": 0}

    # --- collections

    def ensure(self) -> None:
        """Create and load both collections and, unless they exist, their aliases. Safe to repeat and to race.

        Raises `ConfigurationError` if a collection of this version holds vectors of another length.
        """
        with self._write_lock():
            for channel in _OUTPUT:
                self._ensure_collection(channel)
                if self._alias_target(channel) is None:
                    self._tolerating_a_race(
                        partial(self._milvus.call, "create_alias", self.collection(channel), channel),
                        partial(self._alias_target, channel),
                    )

    def activate(self) -> None:
        """Point the aliases at this store's model, making it the version in effect: see `active_version`."""
        with self._write_lock():
            for channel in _OUTPUT:
                if self._alias_target(channel) != self.collection(channel):
                    self._milvus.call("alter_alias", self.collection(channel), channel)

    def active_version(self) -> str | None:
        """The model version the alias `images` names; `None` before the first `ensure`."""
        target = self._alias_target("images")
        return target.removeprefix("images_") if target else None

    def collection(self, channel: Channel) -> str:
        """The collection of this store's model, e.g. `images_0123456789ab`."""
        return f"{channel}_{re.sub(r'[^A-Za-z0-9_]', '_', self._model.version)}"

    # --- writing

    def upsert_images(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Add or replace image embeddings: `vectors` (N, dimension) float32, unit length, one for each id.

        Of an id given twice the last vector counts. Raises `InvalidEmbedding`.
        """
        last = dict(zip(map(int, ids), self._checked(vectors, len(ids)), strict=True))
        self._upsert("images", [{"id": i, "embedding": vector} for i, vector in last.items()])

    def upsert_captions(self, caption_ids: Sequence[int], image_ids: Sequence[int], vectors: Vectors) -> None:
        """Add or replace caption embeddings; `image_ids[i]` is the image that caption `i` describes.

        `vectors` as for `upsert_images`; an image may have several captions.
        """
        rows = zip(caption_ids, image_ids, self._checked(vectors, len(caption_ids)), strict=True)
        last = {int(c): {"id": int(c), "image_id": int(i), "embedding": vector} for c, i, vector in rows}
        self._upsert("captions", list(last.values()))

    def delete_images(self, image_ids: Sequence[int]) -> None:
        """Forget images and all their captions; unknown ids are ignored."""
        with self._write_lock():
            for chunk in _chunks(image_ids, WRITE_CHUNK):
                for channel in _OUTPUT:
                    self._milvus.call(
                        "delete", self.collection(channel), filter=_among(_image_field(channel), chunk)
                    )
                    self._wrote(channel, len(chunk))

    def delete_captions(self, caption_ids: Sequence[int]) -> None:
        """Forget captions; unknown ids are ignored."""
        with self._write_lock():
            for chunk in _chunks(caption_ids, WRITE_CHUNK):
                self._milvus.call("delete", self.collection("captions"), filter=_among("id", chunk))
                self._wrote("captions", len(chunk))

    def flush(self) -> None:
        """End of a batch of work: have Lite write what it holds in memory, which makes searches fast again.

        Acknowledged rows are safe without it. A Milvus server seals its segments itself: nothing to do there.
        """
        if not self._milvus.is_lite:
            return
        with self._write_lock():
            for channel in _OUTPUT:
                self._flush(channel)

    def _upsert(self, channel: Channel, rows: list[dict[str, Any]]) -> None:
        with self._write_lock():
            for start in range(0, len(rows), WRITE_CHUNK):
                chunk = rows[start : start + WRITE_CHUNK]
                self._milvus.call("upsert", self.collection(channel), data=chunk)
                self._wrote(channel, len(chunk))

    def _wrote(self, channel: Channel, rows: int) -> None:
        self._unflushed[channel] += rows
        if self._unflushed[channel] >= WRITE_CHUNK and self._milvus.is_lite:
            self._flush(channel)

    def _flush(self, channel: Channel) -> None:
        self._milvus.call("flush", self.collection(channel))
        self._unflushed[channel] = 0

    # --- reading

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return self._dimension

    @property
    def exact(self) -> bool:
        """Whether searches are exact (FLAT), not approximate (HNSW)."""
        return self._index_type() == "FLAT"

    def nearest(
        self,
        channel: Channel,
        query: Vectors,
        limit: int,
        among: Sequence[int] | NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.int64], Vectors]:
        """Image ids (n,) and inner products (n,), the greatest first, n <= `limit`; in `captions` an id may recur.

        `query` (dimension,) float32 of unit length; `limit` 1..16,384. `among` holds the image ids allowed, sent
        to Milvus in the request: under it HNSW may lose hits. Raises `InvalidEmbedding`, `QueryError` (limit).
        """
        (query,) = self._checked(np.asarray(query)[None], 1)
        _check_limit(limit)
        expression = "" if among is None else _among(_image_field(channel), [int(i) for i in among])
        hits = self._nearest(channel, query, limit, expression)
        ids = np.fromiter((image for _, image, _ in hits), np.int64, len(hits))
        scores = np.fromiter((score for _, _, score in hits), np.float32, len(hits))
        order = np.argsort(-scores, kind="stable")
        return ids[order], scores[order]

    def search_images(
        self, query: Vectors, limit: int, within: Sequence[int] | None = None
    ) -> list[tuple[int, float]]:
        """The nearest images: (image id, inner product in -1..1), best first, ties by id.

        `query` (dimension,) float32 of unit length; `limit` 1..16,384. `within` holds the image ids allowed:
        `None` means all, an empty one gives no hits. No hit that exists is lost to `within`.
        Raises `InvalidEmbedding`, `QueryError` (limit).
        """
        return [(i, score) for i, _, score in self._search("images", query, limit, within)]

    def search_captions(
        self, query: Vectors, limit: int, within: Sequence[int] | None = None
    ) -> list[tuple[int, int, float]]:
        """The nearest captions: (caption id, image id, inner product), best first, ties by id.

        As `search_images`, `within` holding image ids too. An image with several captions may appear often.
        """
        return self._search("captions", query, limit, within)

    def image_ids(self) -> Iterator[int]:
        """Every image id stored, each once, in no particular order; a few thousand in memory at a time."""
        return (row["id"] for row in self._rows("images"))

    def caption_ids(self) -> Iterator[tuple[int, int]]:
        """Every (caption id, image id) stored, as `image_ids`."""
        return ((row["id"], row["image_id"]) for row in self._rows("captions"))

    def count(self, channel: Channel) -> int:
        """Rows stored for `channel`, including those just written."""
        return self._count(channel, "")

    def healthy(self) -> bool:
        """Whether Milvus answers now. Never raises."""
        return self._milvus.healthy()

    def close(self) -> None:
        """Disconnect. The store reconnects when it is used again."""
        self._milvus.close()

    def _search(
        self, channel: Channel, query: Vectors, limit: int, within: Sequence[int] | None
    ) -> list[tuple[int, int, float]]:
        (query,) = self._checked(np.asarray(query)[None], 1)
        _check_limit(limit)
        if within is None:
            return _best(self._nearest(channel, query, limit), limit)
        allowed = np.unique(np.asarray(within, dtype=np.int64))
        found = self._overfetch(channel, query, limit, allowed)
        if found is None:
            found = [
                hit for c in _chunks(allowed, WITHIN_CHUNK) for hit in self._among(channel, query, limit, c)
            ]
        return _best(found, limit)

    def _nearest(
        self, channel: Channel, query: Vectors, limit: int, expression: str = ""
    ) -> list[tuple[int, int, float]]:
        """One search; hits as (row id, image id, score)."""
        params = {"ef": max(_MIN_EF, 2 * limit)} if self._index_type() == "HNSW" else {}
        (hits,) = self._milvus.call(
            "search",
            self.collection(channel),
            data=[query],
            anns_field="embedding",
            limit=limit,
            filter=expression,
            search_params={"metric_type": "IP", "params": params},
            output_fields=_OUTPUT[channel],
        )
        field = _image_field(channel)
        return [(int(h["id"]), int(h["entity"][field]), float(h["distance"])) for h in hits]

    def _overfetch(
        self, channel: Channel, query: Vectors, limit: int, allowed: NDArray[np.int64]
    ) -> list[tuple[int, int, float]] | None:
        """Hits within many ids, by filtering here what an unfiltered search returns; `None` if too few pass.

        Exact, since FLAT is: the best of all, in order, hold the best of some as soon as enough of them pass.
        """
        wide = max(1_024, 4 * limit)
        if len(allowed) < OVERFETCH_FROM or wide > MAX_LIMIT or self._index_type() != "FLAT":
            return None
        hits = self._nearest(channel, query, wide)
        passing = np.isin(np.array([image for _, image, _ in hits]), allowed)
        found = [hit for hit, passes in zip(hits, passing, strict=True) if passes]
        return found if len(found) >= limit or len(hits) < wide else None

    def _among(
        self, channel: Channel, query: Vectors, limit: int, allowed: list[int]
    ) -> list[tuple[int, int, float]]:
        """Hits within at most `WITHIN_CHUNK` ids. HNSW may lose some under a filter: then all are scored."""
        expression = _among(_image_field(channel), allowed)
        hits = self._nearest(channel, query, limit, expression)
        if (
            len(hits) >= limit
            or self._index_type() != "HNSW"
            or self._count(channel, expression) <= len(hits)
        ):
            return hits
        return [hit for page in _chunks(allowed, _PAGE) for hit in self._scored(channel, query, page)]

    def _scored(self, channel: Channel, query: Vectors, allowed: list[int]) -> list[tuple[int, int, float]]:
        rows = self._rows(channel, _among(_image_field(channel), allowed), ["embedding"])
        field = _image_field(channel)
        return [
            (r["id"], r[field], float(np.dot(np.asarray(r["embedding"], np.float32), query))) for r in rows
        ]

    def _count(self, channel: Channel, expression: str) -> int:
        rows = self._milvus.call(
            "query",
            self.collection(channel),
            filter=expression,
            output_fields=["count(*)"],
            consistency_level="Strong",
        )
        return int(rows[0]["count(*)"])

    def _rows(
        self, channel: Channel, expression: str = "", more: Sequence[str] = ()
    ) -> Iterator[dict[str, Any]]:
        """Rows in bounded memory, past the bound on one answer."""
        pages = self._milvus.pages(
            self.collection(channel),
            batch_size=_PAGE,
            filter=expression,
            output_fields=[*_OUTPUT[channel], *more],
            consistency_level="Strong",
        )
        return (row for page in pages for row in page)

    # --- collections, inside

    def _ensure_collection(self, channel: Channel) -> None:
        name = self.collection(channel)
        if not self._milvus.call("has_collection", name):
            self._tolerating_a_race(
                partial(self._create_collection, channel), partial(self._milvus.call, "has_collection", name)
            )
        fields = self._milvus.call("describe_collection", name)["fields"]
        stored = next(int(f["params"]["dim"]) for f in fields if f["name"] == "embedding")
        if stored != self._dimension:
            raise ConfigurationError(
                f"Milvus collection {name} holds vectors of length {stored}; the embedder {self._model.name} "
                f"gives {self._dimension}. Drop that collection and run `sightline check --repair`."
            )
        self._milvus.call("load_collection", name)

    def _create_collection(self, channel: Channel) -> None:
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        if channel == "captions":
            schema.add_field("image_id", DataType.INT64)
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=self._dimension)
        kind = self._index_type()
        index = MilvusClient.prepare_index_params()
        build = _HNSW_BUILD if kind == "HNSW" else {}
        index.add_index("embedding", index_type=kind, metric_type="IP", params=build)
        self._milvus.call("create_collection", self.collection(channel), schema=schema, index_params=index)

    def _alias_target(self, alias: str) -> str | None:
        try:
            return str(self._milvus.call("describe_alias", alias)["collection_name"])
        except Refused:
            return None

    @staticmethod
    def _tolerating_a_race(make: Callable[[], object], exists: Callable[[], object]) -> None:
        try:
            make()
        except Refused:  # Lite refuses the loser a moment before the winner's work can be seen
            deadline = time.monotonic() + _RACE_S
            while not exists():
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _index_type(self) -> str:
        if self._index is None:
            self._index = "FLAT" if self._milvus.is_lite else "HNSW"
        return self._index

    def _checked(self, vectors: Vectors, rows: int) -> Vectors:
        return checked(vectors, (rows, self._dimension), self._model.name)


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_LIMIT:
        raise QueryError(f"A search returns 1 to {MAX_LIMIT} hits, not {limit}: ask for fewer, or filter.")


def _image_field(channel: Channel) -> str:
    return "id" if channel == "images" else "image_id"


def _among(field: str, ids: Sequence[int]) -> str:
    return f"{field} in [{','.join(map(str, ids))}]"


def _chunks(ids: Sequence[int] | NDArray[np.int64], size: int) -> Iterator[list[int]]:
    whole = [int(i) for i in ids]
    return (whole[start : start + size] for start in range(0, len(whole), size))


def _best(hits: list[tuple[int, int, float]], limit: int) -> list[tuple[int, int, float]]:
    return sorted(hits, key=lambda hit: (-hit[2], hit[0]))[:limit]
