"""Embeddings in Milvus: derived data, rebuilt at any time from what the catalogue and the store hold.

Two collections for each embedding model, `images_<version>` and `captions_<version>`, one row an image or a
caption, with the aliases `images` and `captions` naming the version in effect. Vectors are L2-normalised, so
the inner product is the cosine. A store reads and writes the collections of its own model: vectors of two
models never mix. It knows no tags: a filter arrives as the ids that pass it.

Milvus Lite gets a FLAT index, which is exact, also under a filter. A Milvus server gets HNSW, searched with
`ef >= 256` and twice what is asked for; under a filter it may lose hits, which whoever asks must expect.
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
WRITE_CHUNK = 1_000  # rows in one request; also the most that Lite holds unflushed, where searches are slow
_HNSW_BUILD = {"M": 16, "efConstruction": 200}
_MIN_EF = 256
_RACE_S = 2.0
_PAGE = 2_000  # rows fetched at once
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

        Ties by id. `query` (dimension,) float32 of unit length; `limit` 1..16,384. `among` holds the image ids
        allowed, sent to Milvus in the request: under it HNSW may lose hits. Raises `InvalidEmbedding`, `QueryError`
        (limit).
        """
        (query,) = self._checked(np.asarray(query)[None], 1)
        if not 1 <= limit <= MAX_LIMIT:
            raise QueryError(
                f"A search returns 1 to {MAX_LIMIT} hits, not {limit}: ask for fewer, or filter."
            )
        if among is not None and not len(among):  # an empty list in an expression has meant everything
            return np.empty(0, np.int64), np.empty(0, np.float32)
        (hits,) = self._milvus.call(
            "search",
            self.collection(channel),
            data=[query],
            anns_field="embedding",
            limit=limit,
            filter="" if among is None else _among(_image_field(channel), [int(i) for i in among]),
            search_params={
                "metric_type": "IP",
                "params": {} if self.exact else {"ef": max(_MIN_EF, 2 * limit)},
            },
            output_fields=_OUTPUT[channel],
        )
        field = _image_field(channel)
        ids = np.fromiter((hit["entity"][field] for hit in hits), np.int64, len(hits))
        scores = np.fromiter((hit["distance"] for hit in hits), np.float32, len(hits))
        order = np.lexsort((ids, -scores))
        return ids[order], scores[order]

    def image_ids(self) -> Iterator[int]:
        """Every image id stored, each once, in no particular order; a few thousand in memory at a time."""
        return (row["id"] for row in self._rows("images"))

    def caption_ids(self) -> Iterator[tuple[int, int]]:
        """Every (caption id, image id) stored, as `image_ids`."""
        return ((row["id"], row["image_id"]) for row in self._rows("captions"))

    def count(self, channel: Channel) -> int:
        """Rows stored for `channel`, including those just written."""
        rows = self._milvus.call(
            "query",
            self.collection(channel),
            filter="",
            output_fields=["count(*)"],
            consistency_level="Strong",
        )
        return int(rows[0]["count(*)"])

    def healthy(self) -> bool:
        """Whether Milvus answers now. Never raises."""
        return self._milvus.healthy()

    def close(self) -> None:
        """Disconnect. The store reconnects when it is used again."""
        self._milvus.close()

    def _rows(self, channel: Channel) -> Iterator[dict[str, Any]]:
        """Rows in bounded memory, past the bound on one answer."""
        pages = self._milvus.pages(
            self.collection(channel),
            batch_size=_PAGE,
            filter="",
            output_fields=_OUTPUT[channel],
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


def _image_field(channel: Channel) -> str:
    return "id" if channel == "images" else "image_id"


def _among(field: str, ids: Sequence[int]) -> str:
    return f"{field} in [{','.join(map(str, ids))}]"


def _chunks(ids: Sequence[int], size: int) -> Iterator[list[int]]:
    whole = [int(i) for i in ids]
    return (whole[start : start + size] for start in range(0, len(whole), size))
