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
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.embeddings import collections
from indexer.embeddings.collections import Channel, IndexType
from indexer.embeddings.connection import MilvusConnection
from indexer.embeddings.vectors import InvalidEmbedding, Rows, Vectors, checked
from indexer.errors import QueryError

__all__ = ["MAX_LIMIT", "Channel", "EmbeddingStore", "InvalidEmbedding", "ModelVersion", "Rows", "Vectors"]

MAX_LIMIT = 16_384  # Milvus's own bound on what one search returns
WRITE_CHUNK = 1_000  # rows in one request; also the most that Lite holds unflushed, where searches are slow
_MIN_EF = 256
_WHOLE = 4_000  # rows with their vectors fetched at once: 16 MB at 1,000 dimensions
_FEW = 100  # rows that may wait to be flushed, as one search after another takes 4 ms longer for them,
_REST_S = 5.0  # but not longer than this
_OUTPUT: dict[Channel, list[str]] = {"images": ["id"], "captions": ["id", "image_id"]}
_WHOLE_ROW = {channel: [*fields, "embedding"] for channel, fields in _OUTPUT.items()}


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
    names the collections. `timeout_s` bounds each request. `write_lock()` is held around every change of a
    Milvus Lite, which silently corrupts its log under two writers: it must exclude every other writer of
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
        index: IndexType | None = None,
    ) -> None:
        self._milvus = MilvusConnection(url, token, timeout_s)
        self._dimension = dimension
        self._model = model
        self._write_lock = write_lock
        self._index = index
        self._unflushed: dict[Channel, int] = {"images": 0, "captions": 0}
        self._flushed_at = time.monotonic()

    # --- collections

    def ensure(self) -> None:
        """Create and load both collections and, unless they exist, their aliases. Safe to repeat and to race.

        Raises `ConfigurationError` if a collection of this version holds vectors of another length.
        """
        with self._writing():
            for channel in _OUTPUT:
                collections.ensure_collection(
                    self._milvus,
                    channel,
                    self.collection(channel),
                    dimension=self._dimension,
                    index=self._index_type(),
                    embedder=self._model.name,
                )
                collections.ensure_alias(self._milvus, channel, self.collection(channel))

    def activate(self) -> None:
        """Point the aliases at this store's model, making it the version in effect: see `active_version`."""
        with self._writing():
            for channel in _OUTPUT:
                if collections.alias_target(self._milvus, channel) != self.collection(channel):
                    self._milvus.call("alter_alias", self.collection(channel), channel)

    def drop(self) -> None:
        """Delete the collections of this model, which the aliases must not name. Safe to repeat."""
        with self._writing():
            for channel in _OUTPUT:
                self._milvus.call("drop_collection", self.collection(channel))

    def active_version(self) -> str | None:
        """The model version the alias `images` names; `None` before the first `ensure`."""
        target = collections.alias_target(self._milvus, "images")
        return target.removeprefix("images_") if target else None

    def collection(self, channel: Channel) -> str:
        """The collection of this store's model, e.g. `images_0123456789ab`."""
        return collection_name(channel, self._model.version)

    # --- writing

    def upsert_images(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Add or replace image embeddings: `vectors` (N, dimension) float32, unit length, one for each id.

        Of an id given twice the last vector counts. Raises `InvalidEmbedding`.
        """
        rows = self._image_rows(ids, vectors)
        with self._writing():
            self._put("images", rows)

    def upsert_captions(self, caption_ids: Sequence[int], image_ids: Sequence[int], vectors: Vectors) -> None:
        """Add or replace caption embeddings; `image_ids[i]` is the image that caption `i` describes.

        `vectors` as for `upsert_images`; an image may have several captions.
        """
        rows = self._caption_rows(caption_ids, image_ids, vectors)
        with self._writing():
            self._put("captions", rows)

    def delete_images(self, image_ids: Sequence[int]) -> None:
        """Forget images and all their captions; unknown ids are ignored."""
        with self._writing():
            for channel in _OUTPUT:
                self._delete(channel, _image_field(channel), image_ids)

    def delete_captions(self, caption_ids: Sequence[int]) -> None:
        """Forget captions; unknown ids are ignored."""
        with self._writing():
            self._delete("captions", "id", caption_ids)

    def replace(self, rows: Rows, only: Collection[int]) -> None:
        """Have Milvus hold `rows`, and nothing else of the images `only`: each costs Lite a look at all it holds.

        Nobody else may write of the same images meanwhile. Raises `InvalidEmbedding` before anything is written.
        """
        images = self._image_rows(rows.image_ids, rows.images)
        captions = self._caption_rows(rows.caption_ids, rows.owners, rows.captions)
        lost_images = sorted({*only} - {*rows.image_ids})
        lost_captions = sorted({*self._captions_of(sorted(only))} - {*rows.caption_ids})
        with self._writing():
            self._put("images", images)
            self._put("captions", captions)
            self._delete("captions", "id", lost_captions)
            self._delete("images", "id", lost_images)

    def flush(self) -> None:
        """End of a batch of work: have Lite write what it holds in memory, which makes searches fast again.

        Acknowledged rows are safe without it. A Milvus server seals its segments itself: nothing to do there.
        """
        if not self._milvus.is_lite:
            return
        with self._writing():
            for channel in _OUTPUT:
                self._flush(channel)

    def rest(self) -> None:
        """There is nothing to write for now: `flush` what this store has written, unless it is little and recent."""
        waiting = sum(self._unflushed.values())
        if waiting >= _FEW or (waiting and time.monotonic() - self._flushed_at > _REST_S):
            self.flush()

    def _writing(self) -> AbstractContextManager[Any]:
        return self._write_lock() if self._milvus.is_lite else nullcontext()

    def _put(self, channel: Channel, rows: list[dict[str, Any]]) -> None:
        for start in range(0, len(rows), WRITE_CHUNK):
            chunk = rows[start : start + WRITE_CHUNK]
            self._milvus.call("upsert", self.collection(channel), data=chunk)
            self._wrote(channel, len(chunk))

    def _delete(self, channel: Channel, field: str, ids: Sequence[int]) -> None:
        for chunk in _chunks(ids, WRITE_CHUNK):
            self._milvus.call("delete", self.collection(channel), filter=_among(field, chunk))
            self._wrote(channel, len(chunk))

    def _wrote(self, channel: Channel, rows: int) -> None:
        self._unflushed[channel] += rows
        if self._unflushed[channel] >= WRITE_CHUNK and self._milvus.is_lite:
            self._flush(channel)

    def _flush(self, channel: Channel) -> None:
        self._milvus.call("flush", self.collection(channel))
        self._unflushed[channel] = 0
        self._flushed_at = time.monotonic()

    def _image_rows(self, ids: Sequence[int], vectors: Vectors) -> list[dict[str, Any]]:
        last = dict(zip(map(int, ids), self._checked(vectors, len(ids)), strict=True))
        return [{"id": i, "embedding": vector} for i, vector in last.items()]

    def _caption_rows(
        self, ids: Sequence[int], owners: Sequence[int], vectors: Vectors
    ) -> list[dict[str, Any]]:
        rows = zip(ids, owners, self._checked(vectors, len(ids)), strict=True)
        last = {int(c): {"id": int(c), "image_id": int(i), "embedding": vector} for c, i, vector in rows}
        return list(last.values())

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

    def between(self, low: int, high: int) -> Rows:
        """All that is held of images with `low` <= id < `high`, captions included, in no particular order.

        To be kept narrow: whatever there is comes at once.
        """
        return self._rows(lambda channel: self._within(channel, low, high))

    def of(self, image_ids: Sequence[int]) -> Rows:
        """All that is held of these images, captions included, in no particular order."""
        chunks = list(_chunks(image_ids, WRITE_CHUNK))

        def read(channel: Channel) -> Iterator[dict[str, Any]]:
            for chunk in chunks:
                yield from self._query(channel, _among(_image_field(channel), chunk), _WHOLE_ROW[channel])

        return self._rows(read)

    def _rows(self, read: Callable[[Channel], Iterator[dict[str, Any]]]) -> Rows:
        images, captions = list(read("images")), list(read("captions"))
        return Rows(
            [row["id"] for row in images],
            self._stacked(images),
            [row["id"] for row in captions],
            [row["image_id"] for row in captions],
            self._stacked(captions),
        )

    def _within(self, channel: Channel, low: int, high: int) -> Iterator[dict[str, Any]]:
        """Rows by the image's id; where there are more than one answer may hold, in two halves."""
        field = _image_field(channel)
        wanted = f"{field} >= {low} and {field} < {high}"
        rows = self._query(channel, wanted, _WHOLE_ROW[channel], _WHOLE)
        if len(rows) < _WHOLE or high - low == 1:
            yield from rows
            return
        middle = low + (high - low) // 2
        yield from self._within(channel, low, middle)
        yield from self._within(channel, middle, high)

    def _captions_of(self, image_ids: Sequence[int]) -> Iterator[int]:
        """Ids of the captions held of these images, which have a few each."""
        for chunk in _chunks(image_ids, WRITE_CHUNK):
            yield from (row["id"] for row in self._query("captions", _among("image_id", chunk), ["id"]))

    def _query(
        self, channel: Channel, wanted: str, fields: list[str], limit: int = MAX_LIMIT
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._milvus.call(
            "query",
            self.collection(channel),
            filter=wanted,
            output_fields=fields,
            limit=limit,
            consistency_level="Strong",
        )
        return rows

    def _stacked(self, rows: Sequence[dict[str, Any]]) -> Vectors:
        found = np.empty((len(rows), self._dimension), np.float32)
        for place, row in enumerate(rows):
            found[place] = row["embedding"]
        return found

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

    def indexed(self, channel: Channel) -> float:
        """The share of the rows of `channel` its index covers by now, 0 to 1; 1 where Milvus does not tell.

        The others are searched as well, but only roughly: some of what is nearest may be missing.
        """
        collection = self.collection(channel)
        told = self._milvus.call("describe_index", collection, "embedding") or {}
        if "indexed_rows" not in told:
            return 1.0
        held = int(self._milvus.call("get_collection_stats", collection)["row_count"])
        rows = max(held, int(told.get("total_rows", 0)))
        return min(1.0, int(told["indexed_rows"]) / rows) if rows else 1.0

    def healthy(self) -> bool:
        """Whether Milvus answers now. Never raises."""
        return self._milvus.healthy()

    def close(self) -> None:
        """Disconnect. The store reconnects when it is used again."""
        self._milvus.close()

    # --- inside

    def _index_type(self) -> IndexType:
        if self._index is None:
            self._index = "FLAT" if self._milvus.is_lite else "HNSW"
        return self._index

    def _checked(self, vectors: Vectors, rows: int) -> Vectors:
        return checked(vectors, (rows, self._dimension), self._model.name)


def collection_name(channel: Channel, version: str) -> str:
    """The collection of a model's version, e.g. `images_0123456789ab`."""
    return f"{channel}_{re.sub(r'[^A-Za-z0-9_]', '_', version)}"


def _image_field(channel: Channel) -> str:
    return "id" if channel == "images" else "image_id"


def _among(field: str, ids: Sequence[int]) -> str:
    return f"{field} in [{','.join(map(str, ids))}]"


def _chunks(ids: Sequence[int], size: int) -> Iterator[list[int]]:
    whole = [int(i) for i in ids]
    return (whole[start : start + size] for start in range(0, len(whole), size))
