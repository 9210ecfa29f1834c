"""Images decoded ahead: all that is needed of each, in the store until the models have looked at it.

A file holds the very arrays the decoder made, so that an image is seen alike whether it was decoded ahead or not. It
is no more than a copy: where it is missing, damaged or made for other models, the image is decoded again.
"""

import logging
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from pydantic import TypeAdapter

from indexer.errors import NotStored
from indexer.images import DecodedImage, InputSpec
from indexer.metadata import Metadata
from indexer.storage import Storage

logger = logging.getLogger(__name__)
_FACTS, _THUMBNAIL = "facts", "thumbnail"


@dataclass(frozen=True)
class _Facts:
    """What a `DecodedImage` says besides its pixels."""

    size_bytes: int
    format: str
    width: int
    height: int
    metadata: Metadata


_facts = TypeAdapter(_Facts)


def name_of(specs: Sequence[InputSpec]) -> str:
    """Which inputs are prepared, in writing."""
    return ",".join(sorted({spec.name for spec in specs}))


def holds(prepared: str | None, specs: Sequence[InputSpec]) -> bool:
    """Whether what was prepared under this name is all that models with these inputs want."""
    return prepared is not None and {spec.name for spec in specs} <= set(prepared.split(","))


class PreparedImages:
    """Keeps decoded images in a store that all workers reach. Safe to share among threads."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def keep(self, decoded: DecodedImage, specs: Sequence[InputSpec]) -> None:
        """Store what was decoded to these inputs: S x S x 3 bytes for each. Raises ServiceUnavailable."""
        facts = _Facts(decoded.size_bytes, decoded.format, decoded.width, decoded.height, decoded.metadata)
        arrays = {spec.name: pixels for spec, pixels in zip(specs, decoded.inputs, strict=True)}
        arrays[_FACTS] = np.frombuffer(_facts.dump_json(facts), np.uint8)
        arrays[_THUMBNAIL] = np.frombuffer(decoded.thumbnail, np.uint8)
        buffer = BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        self._storage.put_prepared(decoded.content_hash, buffer.getvalue())

    def read(self, content_hash: bytes, specs: Sequence[InputSpec]) -> DecodedImage | None:
        """What was decoded ahead, as these inputs; None if it is of no use.

        Raises:
            ServiceUnavailable: the store does not answer.
        """
        started = time.perf_counter()
        try:
            with np.load(BytesIO(self._storage.get_prepared(content_hash)), allow_pickle=False) as file:
                inputs = tuple(_pixels(file[spec.name], spec) for spec in specs)
                facts = _facts.validate_json(file[_FACTS].tobytes())
                thumbnail = file[_THUMBNAIL].tobytes()
        except NotStored:
            return None
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            logger.warning("what was decoded ahead of %s is of no use: %r", content_hash.hex(), error)
            return None
        return DecodedImage(
            content_hash=content_hash,
            size_bytes=facts.size_bytes,
            format=facts.format,
            width=facts.width,
            height=facts.height,
            thumbnail=thumbnail,
            metadata=facts.metadata,
            inputs=inputs,
            read_s=time.perf_counter() - started,
        )

    def forget(self, content_hash: bytes) -> None:
        """Remove what was decoded ahead; removing what is not here is no error. Raises ServiceUnavailable."""
        self._storage.delete_prepared(content_hash)

    def all(self) -> list[bytes]:
        """Of which images there is anything. Raises ServiceUnavailable."""
        return self._storage.prepared_images()


def _pixels(stored: np.ndarray, spec: InputSpec) -> np.ndarray:
    if stored.shape != (spec.size, spec.size, 3) or stored.dtype != np.uint8:
        raise ValueError(f"{stored.dtype} {stored.shape} is not {spec.name}")
    return stored
