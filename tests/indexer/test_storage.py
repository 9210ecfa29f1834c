"""Originals and thumbnails come back as they went in, from wherever they live, never half-written."""

import os
import pickle
import threading
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import ConfigurationError, NotStored, ServiceUnavailable
from indexer.images import content_hash
from indexer.storage import Storage, StoredOriginal, original_key, thumbnail_key

DATA = b"the bytes of a photo"
HASH = content_hash(DATA)


@pytest.fixture(params=["folder", "file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """The same store by a plain path, a file URL and in memory."""
    urls = {
        "folder": str(tmp_path / "store"),
        "file": (tmp_path / "store").as_uri(),
        "memory": f"memory://{uuid.uuid4()}",
    }
    return Storage(urls[request.param])


def test_bytes_come_back(storage: Storage) -> None:
    """Original and thumbnail are kept apart under one hash."""
    assert not storage.has_original(HASH)
    storage.put_original(HASH, DATA)
    storage.put_thumbnail(HASH, b"small")
    assert storage.has_original(HASH)
    assert storage.get_original(HASH) == DATA
    assert storage.get_thumbnail(HASH) == b"small"


def test_repeated_puts(storage: Storage) -> None:
    """The same original twice is one; a new thumbnail replaces the old."""
    for thumbnail in (b"first", b"second"):
        storage.put_original(HASH, DATA)
        storage.put_thumbnail(HASH, thumbnail)
    assert storage.get_original(HASH) == DATA
    assert storage.get_thumbnail(HASH) == b"second"


def test_what_is_missing_is_named(storage: Storage) -> None:
    """NotStored says which key, where, and what to do."""
    with pytest.raises(NotStored, match=rf"originals/.*{HASH.hex()}.*Index the image again"):
        storage.get_original(HASH)
    with pytest.raises(NotStored, match="thumbnails/"):
        storage.get_thumbnail(HASH)


def test_delete_removes_both_and_forgives_absence(storage: Storage) -> None:
    """Deleting twice, or what never was, is no error."""
    storage.put_original(HASH, DATA)
    storage.put_thumbnail(HASH, b"small")
    storage.delete(HASH)
    storage.delete(HASH)
    assert not storage.has_original(HASH)
    with pytest.raises(NotStored):
        storage.get_thumbnail(HASH)


def test_source_reads_the_original_anywhere(storage: Storage) -> None:
    """What the decoding pool is given can be pickled and yields the bytes."""
    storage.put_original(HASH, DATA)
    source = pickle.loads(pickle.dumps(storage.source(HASH)))
    assert (source if isinstance(source, bytes) else source()) == DATA


def test_source_of_a_missing_original(tmp_path: Path) -> None:
    """The absence shows when the bytes are asked for."""
    with pytest.raises(NotStored):
        StoredOriginal(str(tmp_path), HASH)()


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=50)
def test_keys_are_hexadecimal_only(digest: bytes) -> None:
    """No hash, however chosen, leads outside its two-level folder."""
    for key, kind, end in (
        (original_key(digest), "originals", ""),
        (thumbnail_key(digest), "thumbnails", ".webp"),
    ):
        name = digest.hex()
        assert key == f"{kind}/{name[:2]}/{name[2:4]}/{name}{end}"


@pytest.mark.parametrize("name", ["../../etc/passwd", b"short", b"", HASH.hex(), None])
def test_only_hashes_name_objects(tmp_path: Path, name: object) -> None:
    """Names, paths and hex strings are refused before they touch the store."""
    with pytest.raises(ValueError, match="32 bytes"):
        Storage(str(tmp_path)).get_original(name)  # type: ignore[arg-type]


def test_local_files_lie_where_documented(tmp_path: Path) -> None:
    """The folder can be understood without this program, and holds no leftovers."""
    storage = Storage(str(tmp_path))
    storage.put_original(HASH, DATA)
    storage.put_thumbnail(HASH, b"small")
    name = HASH.hex()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        f"originals/{name[:2]}/{name[2:4]}/{name}",
        f"thumbnails/{name[:2]}/{name[2:4]}/{name}.webp",
    ]


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    """While one thread keeps replacing a thumbnail, another always reads a whole one."""
    storage = Storage(str(tmp_path))
    versions = [bytes([number]) * 200_000 for number in (1, 2)]
    storage.put_thumbnail(HASH, versions[0])
    done = threading.Event()

    def rewrite() -> None:
        for number in range(60):
            storage.put_thumbnail(HASH, versions[number % 2])
        done.set()

    writer = threading.Thread(target=rewrite)
    writer.start()
    while not done.is_set():
        assert storage.get_thumbnail(HASH) in versions
    writer.join()


def test_empty_objects_count_as_missing(tmp_path: Path) -> None:
    """A power cut can leave a name without bytes; it is made again, not served."""
    storage = Storage(str(tmp_path))
    storage.put_thumbnail(HASH, b"small")
    (tmp_path / thumbnail_key(HASH)).write_bytes(b"")
    with pytest.raises(NotStored):
        storage.get_thumbnail(HASH)


def test_a_missing_driver_names_its_package() -> None:
    """S3 without s3fs: the message is the command to run."""
    with pytest.raises(ConfigurationError, match="pip install s3fs"):
        Storage("s3://bucket/prefix")


@pytest.mark.parametrize("url", ["nonsense://bucket", "htp://x"])
def test_unknown_schemes_are_refused(url: str) -> None:
    """A URL nobody serves is a configuration error, with an example of a good one."""
    with pytest.raises(ConfigurationError, match="s3://bucket/prefix"):
        Storage(url)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    """A store that cannot be written says so by name."""
    (tmp_path / "store").write_text("not a folder")
    with pytest.raises((ConfigurationError, ServiceUnavailable), match="store"):
        Storage(str(tmp_path / "store")).put_original(HASH, DATA)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    """No permission is a configuration error that names the setting."""
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigurationError, match="SIGHTLINE_STORAGE_URL"):
        Storage(str(tmp_path / "store")).put_original(HASH, DATA)
