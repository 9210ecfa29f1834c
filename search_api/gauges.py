"""What is read from the catalogue when metrics are asked for: images by state, and what waits."""

import threading
from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from indexer.catalog.backlog import Backlog
from indexer.metrics import NAMESPACE

LEAST_PAUSE_S = 5.0
PAUSE_PER_COST = 20  # of the time, one twentieth at most is spent counting


class CatalogueGauges:
    """The backlog as gauges, counted again only when that has become cheap enough. Safe to share among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: Backlog | None = None
        self._good_until = 0.0

    def exposition(self, read: Callable[[], Backlog]) -> bytes:
        """Prometheus's text format; with a catalogue that does not answer, only that it does not."""
        registry = CollectorRegistry()
        registry.register(_Gauges(self._current(read)))
        return generate_latest(registry)

    def _current(self, read: Callable[[], Backlog]) -> Backlog | None:
        with self._lock:
            if self._kept is None or monotonic() >= self._good_until:
                started = monotonic()
                try:
                    self._kept = read()
                except Exception:  # whatever is wrong with the catalogue, the other metrics are told
                    self._kept = None
                cost = monotonic() - started
                self._good_until = monotonic() + max(LEAST_PAUSE_S, PAUSE_PER_COST * cost)
            return self._kept


class _Gauges:
    def __init__(self, backlog: Backlog | None) -> None:
        self.backlog = backlog

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        up = 0.0 if self.backlog is None else 1.0
        yield _gauge("catalogue_up", "Whether the catalogue answered when it was last asked.", {(): up})
        if self.backlog is None:
            return
        queues = self.backlog.queues
        yield _gauge("images", "Images by state.", {(k,): v for k, v in self.backlog.images.items()}, "state")
        waiting = {(name,): queue.waiting for name, queue in queues.items()}
        yield _gauge("queue_waiting", "Rows waiting to be worked on.", waiting, "queue")
        claimed = {(name,): queue.claimed for name, queue in queues.items()}
        yield _gauge("queue_claimed", "Rows a worker has claimed.", claimed, "queue")
        ages = {(name,): queue.oldest_s for name, queue in queues.items()}
        yield _gauge("queue_oldest_seconds", "How long the oldest waiting row has waited.", ages, "queue")
        yield _gauge("workers", "Worker processes seen within a minute.", {(): self.backlog.workers})


def _gauge(name: str, documentation: str, values: Mapping[Any, float], *labels: str) -> Metric:
    family = GaugeMetricFamily(f"{NAMESPACE}_{name}", documentation, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family
