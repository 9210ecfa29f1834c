"""Embeddings leave as files Milvus's bulk import takes: the rows the outbox would have sent, in parts that resume."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from indexer import bulk
from indexer.catalog import annotations, consistency, outbox
from indexer.catalog.outbox import Embedder
from indexer.embeddings import collection_name
from indexer.errors import BackupError, ConfigurationError
from indexer.publishing import rows_of
from tests import catalogue
from tests.catalogue import DIMENSION

IMAGES = 7


@pytest.fixture
def embedder(sessions: sessionmaker[Session]) -> Embedder:
    """Who embedded seven images, of which Milvus has been told nothing."""
    with sessions.begin() as session:
        by = catalogue.annotators(session)
        for _ in range(IMAGES):
            catalogue.add_indexed(session, by=by)
    with sessions() as session:
        return outbox.embedders(session, [by.embedder])[by.embedder]


def _expected(session: Session, embedder: Embedder) -> dict[str, list[dict]]:
    rows = rows_of(consistency.stored_between(session, embedder.id, 0, bulk.ENDLESS), DIMENSION)
    images = [{"id": i, "embedding": v.tolist()} for i, v in zip(rows.image_ids, rows.images, strict=True)]
    captions = zip(rows.caption_ids, rows.owners, rows.captions, strict=True)
    return {
        "images": images,
        "captions": [{"id": c, "image_id": i, "embedding": v.tolist()} for c, i, v in captions],
    }


def _read(folder: Path, what: str) -> list[dict]:
    rows = [
        row for path in sorted(folder.glob(f"{what}-*.parquet")) for row in pq.read_table(path).to_pylist()
    ]
    return sorted(rows, key=lambda row: row["id"])


@pytest.mark.parametrize("part", [3, 7, 100])
def test_files_hold_what_would_have_been_published(
    sessions: sessionmaker[Session], embedder: Embedder, tmp_path: Path, part: int
) -> None:
    """Read back from Parquet: every row once, the very float32 values, in Milvus's types and names."""
    done = bulk.export(sessions, embedder, tmp_path, part=part)
    assert (done.images, done.captions, done.complete) == (IMAGES, IMAGES, True)
    with sessions() as session:
        expected = _expected(session, embedder)
    for what in ("images", "captions"):
        assert _read(tmp_path, what) == sorted(expected[what], key=lambda row: row["id"])
    schema = pq.read_schema(tmp_path / "captions-000000000000.parquet")
    assert schema.field("embedding").type == pa.list_(pa.float32())
    assert schema.field("id").type == schema.field("image_id").type == pa.int64()


def test_the_list_of_files_says_where_they_go(
    sessions: sessionmaker[Session], embedder: Embedder, tmp_path: Path
) -> None:
    """Collections by name, and every file that is there."""
    bulk.export(sessions, embedder, tmp_path, part=3)
    told = json.loads((tmp_path / bulk.MANIFEST).read_text())
    assert told["collections"] == {w: collection_name(w, embedder.version) for w in ("images", "captions")}
    named = {name for part in told["parts"] for name in part["files"].values()}
    assert named == {path.name for path in tmp_path.glob("*.parquet") if not path.name.startswith("changes")}


def test_an_interrupted_export_goes_on(
    sessions: sessionmaker[Session], embedder: Embedder, tmp_path: Path
) -> None:
    """Parts that are whole are not written again; a draft left behind does no harm."""

    def stop(part: bulk.Part) -> None:
        if part.low:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bulk.export(sessions, embedder, tmp_path, part=2, progress=stop)
    assert not bulk.read(tmp_path).complete
    with pytest.raises(BackupError, match="not whole"):
        bulk.settle(sessions, tmp_path)
    (tmp_path / "images-000000000005.new").write_bytes(b"half")
    first = (tmp_path / "images-000000000000.parquet").stat().st_mtime_ns
    assert bulk.export(sessions, embedder, tmp_path, part=2).images == IMAGES
    assert (tmp_path / "images-000000000000.parquet").stat().st_mtime_ns == first
    assert [row["id"] for row in _read(tmp_path, "images")] == [row["id"] for row in _all(sessions, embedder)]


def _all(sessions: sessionmaker[Session], embedder: Embedder) -> list[dict]:
    with sessions() as session:
        return sorted(_expected(session, embedder)["images"], key=lambda row: row["id"])


def test_settling_strikes_off_what_the_files_hold(
    sessions: sessionmaker[Session], embedder: Embedder, tmp_path: Path
) -> None:
    """An image that changed after the export stays in the outbox, and so is published after the import."""
    bulk.export(sessions, embedder, tmp_path, part=3)
    with sessions.begin() as session:
        ids = list(session.execute(text("SELECT id FROM images ORDER BY id")).scalars())
        packed = annotations.pack(catalogue.embedding(99)[None, :])[0]
        session.execute(
            text("UPDATE image_embeddings SET embedding = :new WHERE image_id = :id"),
            {"new": packed, "id": ids[4]},
        )
    assert bulk.settle(sessions, tmp_path) == IMAGES
    with sessions() as session:
        left = outbox.between(session, embedder.id, 0, bulk.ENDLESS)
    assert [change.image_id for change in left] == [ids[4]]
    assert bulk.settle(sessions, tmp_path) == IMAGES  # again: nothing more is struck off
    with sessions() as session:
        assert outbox.between(session, embedder.id, 0, bulk.ENDLESS) == left


def test_another_embedders_folder_is_refused(
    sessions: sessionmaker[Session], embedder: Embedder, tmp_path: Path
) -> None:
    """Embeddings of two embedders never mix."""
    bulk.export(sessions, embedder, tmp_path)
    with pytest.raises(ConfigurationError, match="not by other"):
        bulk.export(sessions, Embedder(embedder.id, "other", "2"), tmp_path)


def test_nothing_embedded_is_an_empty_export(sessions: sessionmaker[Session], tmp_path: Path) -> None:
    """Complete, with no files."""
    done = bulk.export(sessions, Embedder(1, "none", "1"), tmp_path)
    assert (done.images, done.complete, list(tmp_path.glob("*.parquet"))) == (0, True, [])


def test_row_groups_are_bounded(tmp_path: Path) -> None:
    """Milvus reads one into memory."""
    vectors = np.ones((40_000, 512), np.float32)
    table = pa.table({"id": bulk._ids(range(40_000)), "embedding": bulk._lists(vectors)})
    bulk._keep(tmp_path / "images.parquet", table, 512)
    file = pq.ParquetFile(tmp_path / "images.parquet")
    assert file.metadata.row_group(0).num_rows * (512 * 4 + 8) <= bulk.ROW_GROUP_BYTES
