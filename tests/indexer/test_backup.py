"""A library comes back whole from a folder, and nothing comes back from half of one."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from indexer import backup, local_stack
from indexer.catalog import connection, edits, outbox, snapshots
from indexer.consistency import Checker
from indexer.embeddings.stores import EmbeddingStores
from indexer.errors import BackupError, ConfigurationError
from indexer.images import content_hash
from indexer.query import parse
from indexer.search import Request
from indexer.storage import Storage
from tests.conftest import own_database
from tests.indexer.conftest import Library

QUERIES = ("a cat", "coffee width:>10", "width:>100 order:size", 'a rocket -tag:"our tag"')
# Between backup and restore these change by themselves: what waits for Milvus, and who works.
MOVING = {"embedding_changes", "workers"}


@pytest.fixture
def filled(library: Library, photographs: list[Path]) -> Library:
    """Four images, three of them kept as uploads are, one with a tag of a person's, one given to workers."""
    image_ids = library.index(*photographs[:4])
    for path in photographs[:3]:
        library.pipeline.storage.put_original(content_hash(path.read_bytes()), path.read_bytes())
    with library.sessions.begin() as session:
        edits.make(session, image_ids[:1], edits.Wish(add=["our tag"]))
    [waiting] = library.register(photographs[4])
    with library.sessions.begin() as session:
        session.execute(
            text("INSERT INTO workers (id, host, pid) OVERRIDING SYSTEM VALUE VALUES (77, 'gone', 1)")
        )
        session.execute(text("UPDATE work SET claimed_by = 77, claimed_until = now() + interval '1 hour'"))
        assert session.execute(text("SELECT image_id FROM work")).scalar_one() == waiting
    return library


@pytest.fixture
def empty(stack: local_stack.Endpoints) -> Iterator[str]:
    """The address of a database without anything in it."""
    with own_database(stack.postgres_url, "template1") as url:
        yield url


def _rows(engine: Engine) -> dict[str, list[str]]:
    with engine.connect() as reading:
        names = [shape.name for shape in snapshots.shapes(reading) if shape.name not in MOVING]
        query = "SELECT (to_jsonb(t) - 'claimed_by' - 'claimed_until')::text FROM \"{}\" AS t ORDER BY 1"
        return {name: list(reading.execute(text(query.format(name))).scalars()) for name in names}


def _answers(library: Library) -> list[list[tuple[int, float | None]]]:
    answers = []
    for query in QUERIES:
        hits = library.searcher.search(parse(query), Request(all=True)).hits
        answers.append([(hit.image.id, hit.score and round(hit.score, 4)) for hit in hits])
    return answers


def _lose_milvus(library: Library, stack: local_stack.Endpoints) -> EmbeddingStores:
    """Drop the library's rows from Milvus; stores that have to look again."""
    with library.sessions() as session:
        ids = list(session.execute(text("SELECT id FROM images")).scalars())
    library.store.delete_images(ids)
    assert library.store.count("images") == 0
    return EmbeddingStores(stack.milvus_url)


def test_a_library_comes_back_whole(
    filled: Library, empty: str, stack: local_stack.Endpoints, engine: Engine, tmp_path: Path
) -> None:
    """Wiped and restored: every row, every picture, Milvus by the outbox, `check` clean, the same answers."""
    before, answers = _rows(engine), _answers(filled)
    made = backup.back_up(engine, filled.pipeline.storage, tmp_path / "kept")
    assert (made.images, made.originals) == (5, 3)
    shutil.rmtree(tmp_path / "store")
    stores = _lose_milvus(filled, stack)

    storage = Storage(str(tmp_path / "elsewhere"))
    restored = backup.restore(empty, storage, tmp_path / "kept")
    assert (restored.images, restored.originals, restored.changes, restored.damaged) == (5, 3, 4, [])

    fresh = connection.connect(empty)
    sessions = connection.sessions(fresh)
    assert _rows(fresh) == before
    again = Library(
        sessions, replace(filled.pipeline, sessions=sessions, storage=storage), stores, filled.store
    )
    again.publisher.drain()
    with sessions() as session:
        [embedder] = [e for e in outbox.all_embedders(session) if e.id == filled.pipeline.annotators.embedder]
        assert session.execute(text("SELECT claimed_by FROM work")).scalar_one() is None
    assert Checker(sessions, stores, embedder).check().agrees
    assert _answers(again) == answers
    path = next(iter((tmp_path / "elsewhere" / "originals").rglob("*/*/*")))
    assert content_hash(path.read_bytes()).hex() == path.name
    stores.close()
    fresh.dispose()


def test_numbers_go_on_where_they_were(filled: Library, empty: str, engine: Engine, tmp_path: Path) -> None:
    """The next image gets an id nobody has had, and triggers tell of it."""
    backup.back_up(engine, filled.pipeline.storage, tmp_path / "kept", originals=False)
    backup.restore(empty, Storage(str(tmp_path / "elsewhere")), tmp_path / "kept")
    fresh = connection.connect(empty)
    with fresh.begin() as writing:
        last = writing.execute(text("SELECT max(id) FROM images")).scalar_one()
        query = (
            "INSERT INTO images (content_hash, bytes, state) VALUES (sha256('x'), 1, 'pending') RETURNING id"
        )
        assert writing.execute(text(query)).scalar_one() > last
        disabled = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'O'"
        assert writing.execute(text(disabled)).scalar_one() == 0
    fresh.dispose()


def test_a_second_backup_adds_what_is_new(
    filled: Library, engine: Engine, tmp_path: Path, photographs: list[Path]
) -> None:
    """Pictures that are there are not written again."""
    backup.back_up(engine, filled.pipeline.storage, tmp_path / "kept")
    there = {
        path: path.stat().st_mtime_ns
        for path in (tmp_path / "kept/store/originals").rglob("*")
        if path.is_file()
    }
    data = photographs[3].read_bytes()
    filled.pipeline.storage.put_original(content_hash(data), data)
    assert backup.back_up(engine, filled.pipeline.storage, tmp_path / "kept").originals == 4
    assert all(path.stat().st_mtime_ns == when for path, when in there.items())


def test_a_catalogue_with_images_is_not_replaced(
    filled: Library, postgres_url: str, engine: Engine, tmp_path: Path
) -> None:
    """Whoever means it gives an empty database."""
    backup.back_up(engine, filled.pipeline.storage, tmp_path / "kept")
    with pytest.raises(ConfigurationError, match="holds 5 images"):
        backup.restore(postgres_url, filled.pipeline.storage, tmp_path / "kept")


@pytest.mark.parametrize("harm", ["no manifest", "cut short", "another format", "nonsense"])
def test_half_a_backup_is_none(
    harm: str, filled: Library, empty: str, engine: Engine, tmp_path: Path
) -> None:
    """It is refused before anything is changed."""
    kept = tmp_path / "kept"
    backup.back_up(engine, filled.pipeline.storage, kept)
    told = json.loads((kept / backup.MANIFEST).read_text())
    if harm == "no manifest":
        (kept / backup.MANIFEST).unlink()
    elif harm == "cut short":
        path = kept / "catalogue" / "images.copy.zst"
        path.write_bytes(path.read_bytes()[:-7])
    else:
        told = {**told, "format": 99} if harm == "another format" else {"tables": 3}
        (kept / backup.MANIFEST).write_text(json.dumps(told))
    with pytest.raises(BackupError):
        backup.restore(empty, Storage(str(tmp_path / "elsewhere")), kept)
    fresh = connection.connect(empty)
    with fresh.connect() as reading:
        assert snapshots.schema_version(reading) is None
    fresh.dispose()


def test_a_damaged_picture_is_named(filled: Library, empty: str, engine: Engine, tmp_path: Path) -> None:
    """Its image comes back; its bytes do not."""
    kept = tmp_path / "kept"
    backup.back_up(engine, filled.pipeline.storage, kept)
    path = next(path for path in (kept / "store/originals").rglob("*") if path.is_file())
    path.write_bytes(b"something else")
    restored = backup.restore(empty, Storage(str(tmp_path / "elsewhere")), kept)
    assert (restored.originals, restored.damaged) == (2, [path.name])
