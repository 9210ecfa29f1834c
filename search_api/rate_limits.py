"""How often one caller may ask: counted in Redis, so that all servers count together; in memory while it is away."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter
from redis import ConnectionPool, RedisError

from indexer import metrics
from indexer.errors import ServiceUnavailable, TooManyRequests

logger = logging.getLogger(__name__)
AWAY_S = 10.0  # how long Redis is left alone after a failure
TIMEOUT_S = 0.25
PREFIX = "sightline-limits"
T = TypeVar("T")


class RateLimits:
    """Counts what callers do, in a window of a minute that slides.

    Args:
        redis_url: gives Redis's address, as the task queue has it; raises ServiceUnavailable while there is none.
    """

    def __init__(self, redis_url: Callable[[], str]) -> None:
        self._redis_url = redis_url
        self._own = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared: RateLimiter | None = None
        self._away_until = 0.0
        self._lock = threading.Lock()

    def spend(self, what: str, who: str, per_minute: int) -> None:
        """Count one. `per_minute` 0 allows everything.

        Raises:
            TooManyRequests: it is one too many.
        """
        if per_minute and not self._ask(lambda limiter: limiter.hit(_item(per_minute), what, who)):
            self._refuse(what, who, per_minute)

    def check(self, what: str, who: str, per_minute: int) -> None:
        """Count nothing. Raises TooManyRequests: the next would be one too many."""
        if per_minute and not self._ask(lambda limiter: limiter.test(_item(per_minute), what, who)):
            self._refuse(what, who, per_minute)

    def _refuse(self, what: str, who: str, per_minute: int) -> None:
        metrics.rate_limited.inc()
        reset = self._ask(lambda limiter: limiter.get_window_stats(_item(per_minute), what, who).reset_time)
        wait_s = max(1, min(60, round(reset - time.time())))
        raise TooManyRequests(f"At most {per_minute:,} {what} a minute. Wait {wait_s} s.", wait_s)

    def _ask(self, question: Callable[[RateLimiter], T]) -> T:
        if time.monotonic() >= self._away_until:
            try:
                return question(self._reached())
            except (RedisError, ServiceUnavailable, OSError) as error:
                logger.warning("rate limits are counted by this process alone: %s", error)
                self._away_until = time.monotonic() + AWAY_S
        return question(self._own)

    def _reached(self) -> RateLimiter:
        with self._lock:
            if self._shared is None:
                address = self._redis_url().replace("redis+socket://", "unix://", 1)
                pool = ConnectionPool.from_url(
                    address, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
                )
                storage = RedisStorage("redis://", connection_pool=pool, key_prefix=PREFIX)
                self._shared = SlidingWindowCounterRateLimiter(storage)
            return self._shared


def _item(per_minute: int) -> RateLimitItemPerMinute:
    return RateLimitItemPerMinute(per_minute)
