"""Whether Milvus has finished the index it searches: until then it finds only part of what is near."""

import threading
import time
from collections.abc import Sequence

from indexer.embeddings import Channel, EmbeddingStore

FINISHED = 0.98  # of all rows: the newest wait for their turn all the time
LOOK_S = 10.0  # how often it is asked


class IndexProgress:
    """Asks now and then how far an index is. Safe to share among threads."""

    def __init__(self, store: EmbeddingStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[Channel, tuple[float, float]] = {}

    def finished(self, channels: Sequence[Channel]) -> bool:
        """Whether the index of each of these channels covers all but the newest rows.

        Raises:
            ServiceUnavailable: Milvus does not answer.
        """
        return all(self._share(channel) >= FINISHED for channel in channels)

    def _share(self, channel: Channel) -> float:
        now = time.monotonic()
        with self._lock:
            looked_at, share = self._known.get(channel, (-LOOK_S, 0.0))
            due = now - looked_at >= LOOK_S
            if due:
                # Others go by what was known meanwhile: nobody waits behind a Milvus that does not answer.
                self._known[channel] = now, share
        if due:
            share = self._store.indexed(channel)
            self._known[channel] = now, share
        return share
