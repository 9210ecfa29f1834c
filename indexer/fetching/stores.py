"""Pictures in object stores (S3, Google Cloud Storage, Azure, whatever fsspec drives), where the operator allows it.

The process reads with credentials of its own, so who names an address here borrows them: only addresses under one of
the allowed prefixes are read, none by default.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fsspec

from indexer.errors import AddressRefused, ConfigurationError, ImageError, ImageTooLarge, NotFetched
from indexer.images import sniff
from indexer.storage import DRIVERS

# "memory" is a store of the process itself: it holds nothing of anybody's.
SCHEMES = frozenset({*DRIVERS, "memory"})
_ALLOW = "Who runs this server can allow it with SIGHTLINE_FETCH__STORES=s3://bucket/prefix."


@dataclass(frozen=True)
class Stores:
    """Reads pictures under the allowed prefixes, of at most `max_bytes`. Thread-safe."""

    prefixes: tuple[str, ...] = ()
    max_bytes: int = 100 * 2**20

    def __call__(self, url: str) -> bytes:
        """The picture at `url`.

        Raises:
            AddressRefused: it is under no allowed prefix.
            NotFetched: it is not there, or the store does not answer (`again`).
            ImageTooLarge, UnsupportedFormat, BrokenImage: it cannot be used.
        """
        files, path = self._opened(url)
        try:
            with files.open(path, "rb") as file:
                head = bytes(file.read(4_096))
                sniff(head)
                data = head + bytes(file.read(self.max_bytes + 1 - len(head)))
        except ImageError:
            raise
        except (FileNotFoundError, IsADirectoryError) as error:
            raise NotFetched(f"There is no object {url}.") from error
        except PermissionError as error:
            raise NotFetched(f"The store does not let this process read {url}.") from error
        except Exception as error:  # every driver has its own tree
            raise _driver_failed(url, error) from error
        if len(data) > self.max_bytes:
            raise ImageTooLarge(
                f"It has more than the limit of {self.max_bytes:,} bytes (SIGHTLINE_IMAGES__MAX_BYTES)."
            )
        return data

    def below(self, url: str) -> Iterator[str]:
        """The addresses of all objects under a folder, in order. Raises as a call does."""
        files, path = self._opened(url)
        scheme = url.split("://", 1)[0]
        try:
            found = files.find(path)
        except Exception as error:  # every driver has its own tree
            raise _driver_failed(url, error) from error
        for name in found:
            yield f"{scheme}://{str(name).lstrip('/')}"

    def check(self, url: str) -> None:
        """Raises AddressRefused unless `url` lies under an allowed prefix."""
        scheme, _, rest = url.partition("://")
        if scheme not in SCHEMES or "::" in url:
            raise AddressRefused(f"{scheme[:30]} is no store read here.")
        wanted = f"{scheme}://{rest}"
        if posixpath.normpath(f"/{rest}").lstrip("/") != rest.strip("/") or "\\" in rest:
            raise AddressRefused(f"{url[:100]!r} is not written plainly: leave out `..`, `.` and `//`.")
        if not any(_under(wanted, prefix) for prefix in self.prefixes):
            raise AddressRefused(f"{url[:100]} is under no store that may be read here. {_ALLOW}")

    def _opened(self, url: str) -> tuple[Any, str]:
        self.check(url)
        scheme = url.split("://", 1)[0]
        try:
            files, path = fsspec.core.url_to_fs(url)
        except ImportError as error:
            package = DRIVERS.get(scheme, scheme)
            raise ConfigurationError(
                f"{url} needs a driver that is not installed where the workers run: `pip install {package}`."
            ) from error
        return files, str(path)


def prefixes(text: str) -> tuple[str, ...]:
    """Prefixes named in a setting, commas between: "s3://shop-images, gs://archive/2024".

    Raises:
        ConfigurationError: one is no address of a store.
    """
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for prefix in found:
        scheme, mark, rest = prefix.partition("://")
        if not mark or scheme not in SCHEMES or not rest.strip("/"):
            raise ConfigurationError(
                f"SIGHTLINE_FETCH__STORES: {prefix!r} names no store. Write s3://bucket or s3://bucket/prefix."
            )
    return found


def _under(url: str, prefix: str) -> bool:
    """Whether an address is the prefix or in a folder of it: s3://shop is no prefix of s3://shopping."""
    folder = prefix.rstrip("/")
    return url.rstrip("/") == folder or url.startswith(f"{folder}/")


def _driver_failed(url: str, error: Exception) -> NotFetched:
    return NotFetched(f"The store of {url} does not answer ({type(error).__name__}).", again=True)
