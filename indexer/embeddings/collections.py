"""Collections and aliases in Milvus: made where they are missing, by one of several who may try at once."""

import time
from collections.abc import Callable
from functools import partial
from typing import Literal

from indexer.embeddings.connection import MilvusConnection, Refused
from indexer.errors import ConfigurationError

Channel = Literal["images", "captions"]
IndexType = Literal["FLAT", "HNSW"]

_HNSW_BUILD = {"M": 16, "efConstruction": 200}
_RACE_S = 2.0


def ensure_collection(
    milvus: MilvusConnection, channel: Channel, name: str, *, dimension: int, index: IndexType, embedder: str
) -> None:
    """Make sure the collection is there and loaded.

    Raises `ConfigurationError` if it holds vectors of another length than `embedder` gives.
    """
    if not milvus.call("has_collection", name):
        _tolerating_a_race(
            partial(_create, milvus, channel, name, dimension, index),
            partial(milvus.call, "has_collection", name),
        )
    stored = _dimension(milvus, name)
    if stored != dimension:
        raise ConfigurationError(
            f"Milvus collection {name} holds vectors of length {stored}; the embedder {embedder} "
            f"gives {dimension}. Drop that collection and run `sightline check --repair`."
        )
    milvus.call("load_collection", name)


def ensure_alias(milvus: MilvusConnection, alias: str, name: str) -> None:
    """Make sure there is such an alias; one that names another collection stays."""
    if alias_target(milvus, alias) is None:
        _tolerating_a_race(
            partial(milvus.call, "create_alias", name, alias), partial(alias_target, milvus, alias)
        )


def alias_target(milvus: MilvusConnection, alias: str) -> str | None:
    """The collection an alias names; `None` if there is no such alias."""
    try:
        return str(milvus.call("describe_alias", alias)["collection_name"])
    except Refused:
        return None


def stored_dimension(milvus: MilvusConnection, name: str) -> int | None:
    """The length of the vectors a collection holds; `None` if there is no such collection."""
    return _dimension(milvus, name) if milvus.call("has_collection", name) else None


def _dimension(milvus: MilvusConnection, name: str) -> int:
    fields = milvus.call("describe_collection", name)["fields"]
    return next(int(field["params"]["dim"]) for field in fields if field["name"] == "embedding")


def _create(milvus: MilvusConnection, channel: Channel, name: str, dimension: int, kind: IndexType) -> None:
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    if channel == "captions":
        schema.add_field("image_id", DataType.INT64)
    schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=dimension)
    index = MilvusClient.prepare_index_params()
    build = _HNSW_BUILD if kind == "HNSW" else {}
    index.add_index("embedding", index_type=kind, metric_type="IP", params=build)
    milvus.call("create_collection", name, schema=schema, index_params=index)


def _tolerating_a_race(make: Callable[[], object], exists: Callable[[], object]) -> None:
    try:
        make()
    except Refused:  # Lite refuses the loser a moment before the winner's work can be seen
        deadline = time.monotonic() + _RACE_S
        while not exists():
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
