"""Heat maps of tags, made from thumbnails when asked for, the last few hundred kept."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from indexer import metrics
from indexer.decoding import DecodePool
from indexer.errors import NotFound
from indexer.predictors import ModelIdentity, Tagger
from indexer.storage import Storage

KEPT = 512  # maps; 144 cells each for the published taggers


@dataclass(frozen=True)
class HeatMap:
    """Where a tag was seen: (rows, columns) float32, 0 to 1, and by which tagger."""

    values: np.ndarray
    model: ModelIdentity


class HeatMaps:
    """Asks the tagger in effect, which is loaded by the first question; one at a time, since it takes every core."""

    def __init__(self, tagger: Callable[[], Tagger], storage: Storage, pool: DecodePool) -> None:
        self._tagger, self._storage, self._pool = tagger, storage, pool
        self._kept: OrderedDict[tuple[str, bytes, str], HeatMap] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, content_hash: bytes, tag: str) -> HeatMap:
        """Where the tag was seen in the image with this content.

        Raises:
            NotFound: the tagger in use does not know the tag.
            NotStored: there is no thumbnail.
        """
        with self._lock:
            tagger = self._tagger()
            if tag not in tagger.vocabulary:
                raise NotFound(
                    f"The tagger in use, {tagger.identity.name}, does not know the tag {tag!r}, so it cannot say where"
                    " it is seen. Tags that people gave, or another tagger, have no heat map."
                )
            key = (tagger.identity.version, content_hash, tagger.vocabulary.find(tag))
            kept = metrics.cache_hits if key in self._kept else metrics.cache_misses
            kept.labels(cache="heat").inc()
            if key not in self._kept:
                self._kept[key] = self._made(tagger, *key[1:])
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]

    def _made(self, tagger: Tagger, content_hash: bytes, tag: str) -> HeatMap:
        thumbnail = self._storage.get_thumbnail(content_hash)
        (pixels,) = self._pool.decode(thumbnail, [tagger.input]).inputs
        return HeatMap(tagger.heat(pixels, [tag])[0], tagger.identity)
