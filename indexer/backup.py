"""A library in a folder: what Postgres holds as of one moment, and the originals and thumbnails. Milvus is not in it:
it is filled again from Postgres.

```
folder/
  backup.json                what is here, with a checksum each; written last, so that half a backup is none
  catalogue/images.copy.zst  a table's rows as COPY writes them
  store/originals/...        as in the storage; a second backup into the same folder adds only what is new
```
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, Engine

from indexer.catalog import connection as catalogue
from indexer.catalog import snapshots
from indexer.catalog.snapshots import TableShape
from indexer.errors import BackupError, ConfigurationError, NotStored
from indexer.storage import Storage

FORMAT = 1
MANIFEST = "backup.json"
PIECE = 2**20
COPIERS = 8  # files at once: object stores take their time over each
Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class TableCopy:
    """A table's file: its columns, its SHA-256 and how many bytes it has, compressed."""

    name: str
    columns: tuple[str, ...]
    bytes: int
    sha256: str

    @property
    def shape(self) -> TableShape:
        """The table as it is copied."""
        return TableShape(self.name, self.columns)


@dataclass(frozen=True)
class Manifest:
    """What a backup holds. `originals` were stored when it was made; images indexed where they lie have none there."""

    schema: str
    made_at: str
    images: int
    tables: tuple[TableCopy, ...]
    sequences: dict[str, int]
    originals: int = 0
    format: int = FORMAT


@dataclass
class Restored:
    """What came back: images, originals, changes on the way to Milvus; originals whose bytes are not what they were."""

    images: int = 0
    originals: int = 0
    changes: int = 0
    damaged: list[str] = field(default_factory=list)


def back_up(
    engine: Engine,
    storage: Storage,
    folder: Path,
    *,
    originals: bool = True,
    progress: Progress = lambda *_: None,
) -> Manifest:
    """Write a library into a folder, which may hold an earlier backup of the same.

    Other processes go on meanwhile; what they commit after the start is not in it.

    Raises:
        ConfigurationError: the folder cannot be written, or the catalogue's schema is another version's.
        ServiceUnavailable: the storage does not answer.
    """
    if not catalogue.is_current(engine):
        raise ConfigurationError(
            "The catalogue's schema is another version's: run `sightline migrate` first."
        )
    _make(folder / "catalogue")
    (folder / MANIFEST).unlink(missing_ok=True)  # from here on it is not whole
    with snapshots.one_moment(engine) as connection:
        tables = []
        for shape in snapshots.shapes(connection):
            tables.append(_write(folder, shape, connection))
            progress(shape.name, tables[-1].bytes)
        found = snapshots.content_hashes(connection) if originals else iter(())
        kept = sum(1 for there in _each(_copier(storage, Storage(str(folder / "store"))), found) if there)
        progress("originals", kept)
        manifest = Manifest(
            schema=str(snapshots.schema_version(connection)),
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            images=snapshots.count_images(connection),
            tables=tuple(tables),
            sequences=snapshots.sequences(connection),
            originals=kept,
        )
    _write_manifest(folder, manifest)
    return manifest


def restore(url: str, storage: Storage, folder: Path, *, progress: Progress = lambda *_: None) -> Restored:
    """Bring a library back into a catalogue without images; everything is checked before anything is changed.

    Images, what was said of them, keys and settings are as they were; their embeddings are on the way to Milvus.

    Args:
        url: SQLAlchemy's address of the database.
        storage: where originals and thumbnails go; what is there already stays.
        folder: a folder `back_up` wrote.
        progress: told each table, and its bytes.

    Raises:
        BackupError: the folder holds no whole backup, or one of another version.
        ConfigurationError: the catalogue holds images.
    """
    manifest = read_manifest(folder)
    for table in manifest.tables:
        _verify(folder, table)
    engine = catalogue.connect(url)
    try:
        _prepare(engine, url, manifest)
        restored = Restored(images=manifest.images)
        with engine.begin() as connection:
            _load(connection, folder, manifest, progress)
        catalogue.migrate(url)
        with engine.begin() as connection:
            restored.changes = snapshots.note_all_embeddings(connection)
        with snapshots.one_moment(engine) as connection:
            _bring_files(connection, Storage(str(folder / "store")), storage, restored)
    finally:
        engine.dispose()
    return restored


def read_manifest(folder: Path) -> Manifest:
    """What the folder holds. Raises BackupError if that is no whole backup."""
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        tables = tuple(TableCopy(**{**t, "columns": tuple(t["columns"])}) for t in told.pop("tables"))
        manifest = Manifest(**told, tables=tables)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BackupError(
            f"{folder} holds no whole backup ({error}): a backup that was interrupted is none. Run it again."
        ) from error
    if manifest.format != FORMAT:
        raise BackupError(
            f"{folder} is of format {manifest.format}; this version reads {FORMAT}. Use a newer one."
        )
    return manifest


def _write(folder: Path, shape: TableShape, connection: Connection) -> TableCopy:
    path = _path(folder, shape.name)
    with pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd") as file:
        for piece in snapshots.copy_out(connection, shape):
            file.write(piece)
    return TableCopy(shape.name, shape.columns, path.stat().st_size, _digest(path))


def _verify(folder: Path, table: TableCopy) -> None:
    path = _path(folder, table.name)
    if not path.is_file() or _digest(path) != table.sha256:
        raise BackupError(f"{path} is missing or damaged; nothing was changed. Restore from another backup.")


def _prepare(engine: Engine, url: str, manifest: Manifest) -> None:
    """A schema the tables fit, and no images in it."""
    with engine.connect() as connection:
        there = snapshots.schema_version(connection)
        images = snapshots.count_images(connection) if there else 0
    if images:
        raise ConfigurationError(
            f"The catalogue holds {images:,} images, which a restored library would replace. Give an empty database."
        )
    if there is None:
        catalogue.migrate(url, manifest.schema)
    elif there != manifest.schema:
        raise ConfigurationError(
            f"The backup's schema is {manifest.schema}, the database's {there}. Give an empty database: the tables are"
            " made as the backup has them and then brought to this version."
        )


def _load(connection: Connection, folder: Path, manifest: Manifest, progress: Progress) -> None:
    with snapshots.replacing(connection, [table.shape for table in manifest.tables]):
        for table in manifest.tables:
            snapshots.copy_in(connection, table.shape, _pieces(_path(folder, table.name)))
            progress(table.name, table.bytes)
        snapshots.set_sequences(connection, manifest.sequences)


def _pieces(path: Path) -> Iterator[bytes]:
    with pa.CompressedInputStream(pa.OSFile(str(path), "rb"), "zstd") as file:
        while piece := file.read(PIECE):
            yield piece


def _bring_files(connection: Connection, kept: Storage, storage: Storage, restored: Restored) -> None:
    def bring(content_hash: bytes) -> str | None:
        """None without an original, its name if it is damaged, empty if it is there now."""
        _copy_thumbnail(kept, storage, content_hash)
        try:
            data = kept.get_original(content_hash)
        except NotStored:
            return None
        if hashlib.sha256(data).digest() != content_hash:
            return content_hash.hex()
        storage.put_original(content_hash, data)
        return ""

    for outcome in _each(bring, snapshots.content_hashes(connection)):
        if outcome:
            restored.damaged.append(outcome)
        elif outcome is not None:
            restored.originals += 1


def _copier(storage: Storage, target: Storage) -> Callable[[bytes], bool]:
    def copy(content_hash: bytes) -> bool:
        """Whether there is an original; it and the thumbnail are in the target then."""
        _copy_thumbnail(storage, target, content_hash)
        if target.has_original(content_hash):
            return True
        try:
            target.put_original(content_hash, storage.get_original(content_hash))
        except NotStored:  # indexed where it lies, or deleted meanwhile
            return False
        return True

    return copy


def _copy_thumbnail(source: Storage, target: Storage, content_hash: bytes) -> None:
    try:
        target.put_thumbnail(content_hash, source.get_thumbnail(content_hash))
    except NotStored:
        return


def _each(work: Callable[[bytes], Any], values: Iterable[bytes]) -> Iterator[Any]:
    """`work` of every value, several at once, a bounded number read ahead."""
    values = iter(values)
    with ThreadPoolExecutor(COPIERS) as pool:
        while some := list(islice(values, 1_000)):
            yield from pool.map(work, some)


def _path(folder: Path, table: str) -> Path:
    return folder / "catalogue" / f"{table}.copy.zst"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.parent.chmod(0o700)  # it holds everything there is
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be written: {error.strerror}. Choose another folder."
        ) from error


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    draft = folder / f"{MANIFEST}.new"
    draft.write_text(json.dumps(asdict(manifest), indent=2) + "\n")
    draft.replace(folder / MANIFEST)
