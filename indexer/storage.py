"""Where originals, thumbnails and images decoded ahead live: a folder, or an object store by URL through fsspec.

Keys are made of content hashes only; nothing a person wrote ever becomes part of a path.
"""

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractFileSystem

from indexer.errors import ConfigurationError, NotStored, ServiceUnavailable

R = TypeVar("R")

_HASH_BYTES = 32
_HASH = re.compile("[0-9a-f]{64}")
PREPARED = "prepared"
# Protocol -> package that drives it, for those not bundled with fsspec.
DRIVERS = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "oss": "ossfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "smb": "smbprotocol",
}


class Storage:
    """Originals and thumbnails under one URL: "/a/folder", "file://...", "s3://bucket/prefix", "memory://".

    Raises ConfigurationError for a URL no driver serves, ServiceUnavailable where the store does not answer.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._files, root = _connect(url)
        self._root = root.rstrip("/")
        self._local = isinstance(self._files, LocalFileSystem)

    def put_original(self, content_hash: bytes, data: bytes) -> None:
        """Keeps the bytes as they came; a second time changes nothing."""
        if not self.has_original(content_hash):
            self._put(original_key(content_hash), data, durable=True)

    def get_original(self, content_hash: bytes) -> bytes:
        """The bytes as they came. Raises NotStored."""
        return self._get(original_key(content_hash))

    def has_original(self, content_hash: bytes) -> bool:
        """Whether the original is here."""
        return bool(self._call(lambda: self._files.exists(self._path(original_key(content_hash)))))

    def put_thumbnail(self, content_hash: bytes, data: bytes) -> None:
        """Keeps the WebP thumbnail, replacing one made before."""
        self._put(thumbnail_key(content_hash), data, durable=False)

    def get_thumbnail(self, content_hash: bytes) -> bytes:
        """The WebP thumbnail. Raises NotStored."""
        return self._get(thumbnail_key(content_hash))

    def put_prepared(self, content_hash: bytes, data: bytes) -> None:
        """Keeps what was decoded ahead, replacing what was before."""
        self._put(prepared_key(content_hash), data, durable=False)

    def get_prepared(self, content_hash: bytes) -> bytes:
        """What was decoded ahead. Raises NotStored."""
        return self._get(prepared_key(content_hash))

    def delete_prepared(self, content_hash: bytes) -> None:
        """Removes what was decoded ahead; removing what is not here is no error."""
        self._remove(prepared_key(content_hash))

    def prepared_images(self) -> list[bytes]:
        """The content hashes of all that is decoded ahead; lists every one of them."""
        found = self._call(lambda: self._files.find(self._path(PREPARED)), missing_ok=True)
        names = (str(path).rsplit("/", 1)[-1] for path in found or ())
        return [bytes.fromhex(name) for name in names if _HASH.fullmatch(name)]

    def delete(self, content_hash: bytes, *, original: bool = True) -> None:
        """Removes every trace, the original unless it is to stay; removing what is not here is no error."""
        keys = [thumbnail_key(content_hash), prepared_key(content_hash)]
        if original:
            keys.append(original_key(content_hash))
        for key in keys:
            self._remove(key)

    def _remove(self, key: str) -> None:
        self._call(partial(self._files.rm_file, self._path(key)), missing_ok=True)

    def source(self, content_hash: bytes) -> "bytes | StoredOriginal":
        """The original as `DecodePool` takes it: read by the decoding process wherever that can be.

        A memory store exists in this process only, so its bytes travel themselves.
        """
        if self._files.protocol in ("memory", ("memory",)):
            return self.get_original(content_hash)
        return StoredOriginal(self._root if self._local else self.url, content_hash)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _get(self, key: str) -> bytes:
        data = self._call(lambda: self._files.cat_file(self._path(key)), missing_ok=True)
        if not data:  # also empty: a thumbnail's rename may outlive its bytes in a power cut
            raise NotStored(f"{key} is not in {self.url}. Index the image again to restore it.")
        return bytes(data)

    def _put(self, key: str, data: bytes, *, durable: bool) -> None:
        path = self._path(key)
        if self._local:
            self._call(lambda: _write_local(Path(path), data, durable=durable))
        else:  # object stores show an object only once it is whole
            self._call(lambda: self._files.pipe_file(path, data))

    def _call(self, operation: Callable[[], R], *, missing_ok: bool = False) -> R | None:
        """`operation()` with the drivers' many errors brought to ours."""
        try:
            return operation()
        except FileNotFoundError:
            if missing_ok:
                return None
            raise ConfigurationError(
                f"{self.url} does not exist. Create it, or set SIGHTLINE_STORAGE_URL."
            ) from None
        except PermissionError as error:
            raise ConfigurationError(
                f"No permission on {self.url} ({error}). Grant it, or set SIGHTLINE_STORAGE_URL elsewhere."
            ) from error
        except Exception as error:  # every driver has its own tree
            raise ServiceUnavailable("storage", f"{self.url} does not answer: {error!r}.") from error


@dataclass(frozen=True)
class StoredOriginal:
    """A stored original by name; called, in whichever process, it gives the bytes. Raises NotStored."""

    storage_url: str
    content_hash: bytes

    def __call__(self) -> bytes:
        """The bytes as they came."""
        return _storage(self.storage_url).get_original(self.content_hash)


@lru_cache(maxsize=8)
def _storage(url: str) -> Storage:
    return Storage(url)


def original_key(content_hash: bytes) -> str:
    """`originals/ab/cd/<hex>`: two levels keep folders small at ten million images."""
    return f"originals/{_sharded(content_hash)}"


def thumbnail_key(content_hash: bytes) -> str:
    """`thumbnails/ab/cd/<hex>.webp`."""
    return f"thumbnails/{_sharded(content_hash)}.webp"


def prepared_key(content_hash: bytes) -> str:
    """`prepared/ab/cd/<hex>`."""
    return f"{PREPARED}/{_sharded(content_hash)}"


def _sharded(content_hash: bytes) -> str:
    if not isinstance(content_hash, bytes) or len(content_hash) != _HASH_BYTES:
        raise ValueError(f"A content hash is {_HASH_BYTES} bytes, not {content_hash!r}.")
    name = content_hash.hex()
    return f"{name[:2]}/{name[2:4]}/{name}"


def _connect(url: str) -> tuple[AbstractFileSystem, str]:
    """The driver for `url` and the path under it. Raises ConfigurationError."""
    protocol = url.split("://", 1)[0] if "://" in url else "file"
    try:
        files, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        package = DRIVERS.get(protocol, protocol)
        raise ConfigurationError(
            f"Storage at {url} needs a driver that is not installed: `pip install {package}`."
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            f"SIGHTLINE_STORAGE_URL={url}: {error}. Give a folder, or a URL such as s3://bucket/prefix."
        ) from error
    return files, str(root)


def _write_local(path: Path, data: bytes, *, durable: bool) -> None:
    """Whole or not at all: a neighbouring temporary file, renamed. `durable` survives a power cut too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
