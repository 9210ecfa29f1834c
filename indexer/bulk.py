"""Every embedding of an embedder as Parquet files, as Milvus's bulk import takes them: the way for many millions.

```
folder/
  embeddings.json                      the embedder, its collections, the files; written again after each part
  images-000000000000.parquet          id, embedding: of the images from that id on
  captions-000000000000.parquet        id, image_id, embedding: of their captions
  changes-000000000000.parquet         what the outbox held of them at that moment
```

A part is read as of one moment. Once Milvus has imported it, its changes are settled: what has changed since has
another number, stays in the outbox and is published as ever.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import consistency, outbox
from indexer.catalog.annotations import StoredEmbeddings
from indexer.catalog.outbox import Change, Embedder
from indexer.embeddings import collection_name
from indexer.embeddings.collections import Channel
from indexer.embeddings.vectors import Vectors
from indexer.errors import BackupError, ConfigurationError
from indexer.publishing import common_dimension, rows_of

MANIFEST = "embeddings.json"
PART = 100_000  # images: 200 MB of 512 dimensions
ROW_GROUP_BYTES = 2**25  # Milvus reads one at a time into memory
SETTLED_AT_ONCE = 10_000
ENDLESS = 2**63 - 1
CHANNELS: tuple[Channel, ...] = ("images", "captions")
CHANGES = pa.schema([("image_id", pa.int64()), ("embedder_id", pa.int64()), ("change_id", pa.int64())])


@dataclass(frozen=True)
class Part:
    """Images with `low` <= id < `high`, and how many rows each of its files has; files without rows are not there."""

    low: int
    high: int
    images: int
    captions: int
    changes: int

    def file(self, what: str) -> str:
        """The name of one of its files: `images`, `captions`, `changes`."""
        return f"{what}-{self.low:012d}.parquet"


@dataclass(frozen=True)
class Exported:
    """What a folder holds. `dimension` is 0 as long as there was nothing to write."""

    embedder: Embedder
    dimension: int = 0
    parts: tuple[Part, ...] = ()
    complete: bool = False

    @property
    def images(self) -> int:
        """Rows of the collection of images."""
        return sum(part.images for part in self.parts)

    @property
    def captions(self) -> int:
        """Rows of the collection of captions."""
        return sum(part.captions for part in self.parts)


def export(
    sessions: sessionmaker[Session],
    embedder: Embedder,
    folder: Path,
    *,
    part: int = PART,
    progress: Callable[[Part], None] = lambda _: None,
) -> Exported:
    """Write an embedder's embeddings, going on where an interrupted export into the same folder ended.

    Raises:
        ConfigurationError: the folder holds another embedder's, or cannot be written.
        BackupError: what it holds cannot be read.
    """
    done = _begun(folder, embedder)
    while not done.complete:
        low = done.parts[-1].high if done.parts else 0
        with sessions() as session:
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            end = consistency.stretch_end(session, low, part)
            high = ENDLESS if end is None else end
            stored = consistency.stored_between(session, embedder.id, low, high)
            changes = outbox.between(session, embedder.id, low, high)
        dimension = done.dimension or common_dimension(stored) or 0
        written = _write(folder, low, high, stored, changes, dimension)
        done = Exported(embedder, dimension, (*done.parts, written), end is None)
        _write_manifest(folder, done)
        progress(written)
    return done


def settle(sessions: sessionmaker[Session], folder: Path) -> int:
    """Strike what the files hold off the outbox, now that Milvus has imported them; how many changes.

    Raises:
        BackupError: the folder holds no whole export.
    """
    exported, settled = read(folder), 0
    if not exported.complete:
        raise BackupError(f"The export in {folder} is not whole: run it again, it goes on where it ended.")
    for part in exported.parts:
        for changes in _changes(folder, part):
            with sessions.begin() as session:
                settled += outbox.settle(session, changes)
    return settled


def read(folder: Path) -> Exported:
    """What the folder holds. Raises BackupError if that cannot be read."""
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        parts = tuple(
            Part(**{k: row[k] for k in ("low", "high", "images", "captions", "changes")})
            for row in told["parts"]
        )
        return Exported(Embedder(**told["embedder"]), told["dimension"], parts, told["complete"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BackupError(
            f"{folder / MANIFEST} cannot be read: {error}. Export into an empty folder."
        ) from error


def _begun(folder: Path, embedder: Embedder) -> Exported:
    if not (folder / MANIFEST).exists():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"{folder} cannot be written: {error.strerror}. Choose another."
            ) from error
        return Exported(embedder)
    begun = read(folder)
    if begun.embedder != embedder:
        raise ConfigurationError(
            f"{folder} holds embeddings by {begun.embedder.name} ({begun.embedder.version}), not by {embedder.name}"
            f" ({embedder.version}). Export into an empty folder."
        )
    return begun


def _write(
    folder: Path, low: int, high: int, stored: StoredEmbeddings, changes: Sequence[Change], dimension: int
) -> Part:
    if not dimension:
        return Part(low, high, 0, 0, 0)
    rows = rows_of(stored, dimension)
    part = Part(low, high, len(rows.image_ids), len(rows.caption_ids), len(changes))
    numbers = [(change.image_id, change.embedder_id, change.change_id) for change in changes]
    tables = {
        "images": pa.table({"id": _ids(rows.image_ids), "embedding": _lists(rows.images)}),
        "captions": pa.table(
            {"id": _ids(rows.caption_ids), "image_id": _ids(rows.owners), "embedding": _lists(rows.captions)}
        ),
        "changes": pa.table(list(np.array(numbers, np.int64).reshape(-1, 3).T), schema=CHANGES),
    }
    for what, table in tables.items():
        if table.num_rows:
            _keep(folder / part.file(what), table, dimension)
    return part


def _ids(ids: Sequence[int]) -> pa.Array:
    return pa.array(np.asarray(ids, np.int64))


def _lists(vectors: Vectors) -> pa.Array:
    """(n, D) as n lists of D floats."""
    offsets = np.arange(len(vectors) + 1, dtype=np.int32) * (vectors.shape[1] if vectors.size else 0)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(vectors.reshape(-1), pa.float32()))


def _keep(path: Path, table: pa.Table, dimension: int) -> None:
    """Whole, or not at all, and read again before it counts."""
    draft = path.with_suffix(".new")
    pq.write_table(table, draft, row_group_size=max(1_000, ROW_GROUP_BYTES // (4 * dimension + 16)))
    if not pq.read_table(draft).equals(table):
        raise BackupError(
            f"{draft} does not hold what was written to it. Look at the disk, and export again."
        )
    draft.replace(path)


def _changes(folder: Path, part: Part) -> Iterator[list[Change]]:
    if part.changes:
        for batch in pq.ParquetFile(folder / part.file("changes")).iter_batches(SETTLED_AT_ONCE):
            yield [
                Change(*row) for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
            ]


def _write_manifest(folder: Path, done: Exported) -> None:
    names = {what: collection_name(what, done.embedder.version) for what in CHANNELS}
    parts = [{**asdict(part), "files": _files(part)} for part in done.parts]
    told = {
        "embedder": asdict(done.embedder),
        "dimension": done.dimension,
        "collections": names,
        "complete": done.complete,
        "parts": parts,
    }
    draft = folder / f"{MANIFEST}.new"
    draft.write_text(json.dumps(told, indent=2) + "\n")
    draft.replace(folder / MANIFEST)


def _files(part: Part) -> dict[str, str]:
    return {what: part.file(what) for what in CHANNELS if getattr(part, what)}
