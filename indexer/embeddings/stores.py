"""The stores of all models on one Milvus."""

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from indexer.embeddings import EmbeddingStore, ModelVersion, collection_name
from indexer.embeddings.collections import Channel, stored_dimension
from indexer.embeddings.connection import MilvusConnection

logger = logging.getLogger(__name__)
_CHANNELS: tuple[Channel, ...] = ("images", "captions")


@dataclass(frozen=True)
class NamedVersion:
    """What names a collection, of a model that need not be loaded."""

    name: str
    version: str


class EmbeddingStores:
    """The stores of all models on one Milvus, each opened when it is first needed. No model is loaded for it.

    Arguments as for `EmbeddingStore`. Safe to share among threads. Every method but `close` raises
    `ServiceUnavailable` while Milvus is away.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 10.0,
        write_lock: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self._url, self._token, self._timeout_s, self._write_lock = url, token, timeout_s, write_lock
        self._milvus = MilvusConnection(url, token, timeout_s)
        self._opening = threading.Lock()
        self._opened: dict[str, EmbeddingStore] = {}

    def open(self, model: ModelVersion, dimension: int) -> EmbeddingStore:
        """The model's store; its collections, of vectors of this length, are made if they are missing.

        Raises `ConfigurationError` if there are collections of this version with vectors of another length.
        """
        with self._opening:
            store = self._opened.get(model.version)
            if store is None:
                store = EmbeddingStore(
                    self._url,
                    token=self._token,
                    dimension=dimension,
                    model=model,
                    timeout_s=self._timeout_s,
                    write_lock=self._write_lock,
                )
                store.ensure()
                self._opened[model.version] = store
            return store

    def existing(self, model: ModelVersion) -> EmbeddingStore | None:
        """The model's store if Milvus has a collection of it."""
        with self._opening:
            store = self._opened.get(model.version)
        if store is not None:
            return store
        for channel in _CHANNELS:
            dimension = stored_dimension(self._milvus, collection_name(channel, model.version))
            if dimension is not None:
                return self.open(model, dimension)
        return None

    def forget(self, model: ModelVersion) -> None:
        """Something was refused: whether the collections are there is looked at again at the next use."""
        with self._opening:
            store = self._opened.pop(model.version, None)
        if store is not None:
            store.close()

    def drop(self, model: ModelVersion) -> None:
        """Delete the model's collections, if Milvus has any; the aliases must name another model's."""
        store = self.existing(model)
        if store is not None:
            store.drop()
            self.forget(model)

    def rest(self) -> None:
        """There is nothing to write for now: see `EmbeddingStore.rest`."""
        with self._opening:
            opened = list(self._opened.values())
        for store in opened:
            store.rest()

    def close(self) -> None:
        """Disconnect; what is used again reconnects."""
        for store in self._opened.values():
            store.close()
        self._milvus.close()
