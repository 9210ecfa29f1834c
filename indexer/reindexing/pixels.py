"""Pixels of images that were indexed before: from the original, or from the thumbnail where that is gone."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from indexer.catalog.reindexes import Pictured
from indexer.decoder import source_of
from indexer.decoding import DecodePool
from indexer.errors import ImageError, NotStored
from indexer.images import DecodedImage, InputSpec
from indexer.storage import Storage

logger = logging.getLogger(__name__)


@dataclass
class Seen:
    """`pixels[image_id]` is (S, S, 3) uint8 RGB; `unreadable` are the reasons of those nothing is left of."""

    pixels: dict[int, np.ndarray] = field(default_factory=dict)
    unreadable: dict[int, str] = field(default_factory=dict)


class PixelReader:
    """Reads images for one model. Safe to use from several threads."""

    def __init__(self, storage: Storage, pool: DecodePool) -> None:
        self._storage, self._pool = storage, pool

    def read(self, images: Sequence[Pictured], spec: InputSpec) -> Seen:
        """The pixels of these images as `spec` wants them.

        Raises:
            ServiceUnavailable: the store of originals and thumbnails does not answer.
        """
        seen = Seen()
        sources = [(image, source_of(image, self._storage)) for image in images]
        for image, outcome in self._pool.decode_all(sources, [spec]):
            if isinstance(outcome, DecodedImage) and outcome.content_hash == image.content_hash:
                seen.pixels[image.image_id] = outcome.inputs[0]
            else:
                self._from_thumbnail(image, outcome, spec, seen)
        return seen

    def _from_thumbnail(
        self, image: Pictured, outcome: DecodedImage | ImageError, spec: InputSpec, seen: Seen
    ) -> None:
        why = str(outcome) if isinstance(outcome, ImageError) else "The file has changed since."
        try:
            thumbnail = self._storage.get_thumbnail(image.content_hash)
            seen.pixels[image.image_id] = self._pool.decode(thumbnail, [spec]).inputs[0]
            logger.info("image %d: looked at by its thumbnail: %s", image.image_id, why)
        except (NotStored, ImageError):
            seen.unreadable[image.image_id] = why
