"""Pictures in object stores, by fsspec's store in memory."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from indexer.errors import (
    AddressRefused,
    ConfigurationError,
    ImageTooLarge,
    NotFetched,
    UnsupportedFormat,
)
from indexer.fetching import Opener, Stores, WebFetch
from indexer.fetching.stores import prefixes
from tests.hostile_server import picture


@pytest.fixture
def bucket() -> Iterator[str]:
    """A bucket of the test's own with two pictures and a note."""
    name = f"shop-{uuid.uuid4().hex[:8]}"
    files = fsspec.filesystem("memory")
    files.pipe({f"/{name}/a.png": picture(), f"/{name}/in/b.png": picture(90), f"/{name}/note.txt": b"hello"})
    yield f"memory://{name}"
    files.rm(f"/{name}", recursive=True)


def test_objects_under_an_allowed_prefix(bucket: str) -> None:
    """Their bytes, and the names of all below a folder."""
    stores = Stores((bucket,), 1_000_000)
    assert stores(f"{bucket}/a.png") == picture()
    assert list(stores.below(f"{bucket}/in/")) == [f"{bucket}/in/b.png"]
    assert len(list(stores.below(bucket))) == 3
    assert Opener(WebFetch(), stores)(f"{bucket}/a.png") == picture()


def test_everything_else_is_refused(bucket: str) -> None:
    """Another bucket, a longer name, a way back up, a chain of drivers, a local file."""
    stores = Stores((f"{bucket}/in",), 1_000_000)
    for url in (
        f"{bucket}/a.png",
        f"{bucket}/inner/a.png",
        f"{bucket}/in/../a.png",
        f"{bucket}/in/./b.png",
        f"{bucket}//in/b.png",
        f"simplecache::{bucket}/in/b.png",
        "memory://other/a.png",
        "s3://bucket/a.png",
        "file:///etc/passwd",
        "local:///etc/passwd",
        "zip://a.png",
    ):
        with pytest.raises(AddressRefused):
            stores(url)
    with pytest.raises(AddressRefused, match="SIGHTLINE_FETCH__STORES"):
        Stores()(f"{bucket}/a.png")


def test_limits_and_types(bucket: str) -> None:
    """What is too large, no picture, or not there is told apart."""
    stores = Stores((bucket,), 100)
    with pytest.raises(ImageTooLarge, match="100"):
        stores(f"{bucket}/a.png")
    with pytest.raises(UnsupportedFormat, match="text"):
        stores(f"{bucket}/note.txt")
    with pytest.raises(NotFetched, match="no object"):
        stores(f"{bucket}/missing.png")


def test_a_driver_that_is_not_installed() -> None:
    """Its package is named."""
    pytest.importorskip("fsspec")
    try:
        fsspec.get_filesystem_class("oss")
    except ImportError:
        with pytest.raises(ConfigurationError, match="pip install ossfs"):
            Stores(("oss://bucket",))("oss://bucket/a.png")
    else:
        pytest.skip("ossfs is installed here: no driver is known that is not")


def test_prefixes_are_read_from_a_setting() -> None:
    """Several, with commas between; what is none is named with the setting."""
    assert prefixes(" s3://a/b , gs://c ") == ("s3://a/b", "gs://c")
    assert prefixes("") == ()
    for text in ("s3://", "/srv/photos", "file:///srv", "https://shop.example"):
        with pytest.raises(ConfigurationError, match="SIGHTLINE_FETCH__STORES"):
            prefixes(text)


@pytest.mark.parametrize(
    "url", ["/etc/passwd", "file:///etc/passwd", "ftp://a/b", "https://a/b c", "", "C:\\x"]
)
def test_the_opener_takes_no_other_address(url: str, tmp_path: Path) -> None:
    """Paths and other schemes are refused by checking alone and by fetching."""
    opener = Opener(WebFetch(), Stores(("s3://bucket",)))
    with pytest.raises(AddressRefused):
        opener.check(url)
    opener.check("https://shop.example/a.jpg")
    opener.check("s3://bucket/a.jpg")
