"""What can be measured of a running Sightline, by name: counters and histograms for Prometheus.

Others count with the objects below (`published.inc(64)`, `search_seconds.labels(plan="ids").observe(0.012)`);
`exposition` writes them all out. What is read from the catalogue rather than counted here (queue, images by
state) is added by whoever serves it, as a collector.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

__all__ = ["CONTENT_TYPE", "busy", "exposition", "registry"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
NAMESPACE = "sightline"
# A search takes a millisecond or a second, a batch of images up to minutes.
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

registry = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)


def _counter(name: str, documentation: str, *labels: str) -> Counter:
    return Counter(name, documentation, labels, namespace=NAMESPACE, registry=registry)


def _histogram(name: str, documentation: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(name, documentation, labels, namespace=NAMESPACE, registry=registry, buckets=buckets)


batch_size = _histogram("batch_size", "Images a model batch held.", _SIZES)
stage_seconds = _histogram("stage_seconds", "Seconds a stage of indexing or searching took.", _SLOW, "stage")
search_seconds = _histogram("search_seconds", "Seconds a search took, by the plan it ran.", _QUICK, "plan")
work_done = _counter("work_done", "Images a worker was done with: indexed, failed, retried.", "outcome")
published = _counter("published", "Images whose embeddings were made equal in Milvus.")
fetches = _counter("fetches", "Inputs brought from addresses: fetched, refused, retried.", "outcome")
gpu_busy_seconds = _counter("gpu_busy_seconds", "Seconds models were at work, on whatever device they run.")
cache_hits = _counter("cache_hits", "Answers found in a cache.", "cache")
cache_misses = _counter("cache_misses", "Answers not found in a cache.", "cache")
drift_found = _counter("drift_found", "Rows in which Milvus differed from Postgres, by how.", "kind")
rate_limited = _counter("rate_limited", "Requests refused because their sender sent too many.")
http_requests = _counter("http_requests", "Requests answered.", "method", "route", "status")
http_seconds = _histogram("http_seconds", "Seconds until the answer was sent.", _QUICK, "method", "route")


@contextmanager
def busy() -> Iterator[None]:
    """Count the time inside as time models were at work; from several threads at once it adds up."""
    started = perf_counter()
    try:
        yield
    finally:
        gpu_busy_seconds.inc(perf_counter() - started)


def exposition() -> bytes:
    """Every metric of this process, in Prometheus's text format (`CONTENT_TYPE`)."""
    return generate_latest(registry)
