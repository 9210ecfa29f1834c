"""How often one may ask, counted together and alone."""

import pytest

from indexer import local_stack
from indexer.errors import ServiceUnavailable, TooManyRequests
from search_api.rate_limits import RateLimits


def _allowed(limits: RateLimits, who: str, per_minute: int, tries: int) -> int:
    for done in range(tries):
        try:
            limits.spend("things", who, per_minute)
        except TooManyRequests:
            return done
    return tries


def test_the_refusal_says_when(stack: local_stack.Endpoints) -> None:
    """How many are allowed, and how long to wait."""
    limits = RateLimits(lambda: stack.redis_url)
    limits.spend("things", "told", 1)
    with pytest.raises(TooManyRequests, match="At most 1 things a minute") as refusal:
        limits.spend("things", "told", 1)
    assert 1 <= refusal.value.wait_s <= 60


def test_servers_count_together(stack: local_stack.Endpoints) -> None:
    """What one server has allowed counts at the other; every caller has a number of its own."""
    one, other = RateLimits(lambda: stack.redis_url), RateLimits(lambda: stack.redis_url)
    assert _allowed(one, "together", 5, 3) == 3
    assert _allowed(other, "together", 5, 9) == 2
    assert _allowed(one, "somebody else", 5, 9) == 5


def test_redis_away() -> None:
    """Then each server counts for itself, at once: nobody waits for Redis, and nobody is let off."""

    def away() -> str:
        raise ServiceUnavailable("redis", "Redis does not answer.")

    for nowhere in (away, lambda: "redis://127.0.0.1:9/0", lambda: "redis+socket:///nowhere/redis.sock"):
        assert _allowed(RateLimits(nowhere), "alone", 4, 9) == 4


def test_checking_counts_nothing(stack: local_stack.Endpoints) -> None:
    """It only says whether the next would be one too many."""
    limits = RateLimits(lambda: stack.redis_url)
    for _ in range(9):
        limits.check("things", "looked at", 1)
    limits.spend("things", "looked at", 1)
    with pytest.raises(TooManyRequests):
        limits.check("things", "looked at", 1)


def test_no_limit() -> None:
    """Zero allows any number, and asks nobody."""

    def never() -> str:
        raise AssertionError

    assert _allowed(RateLimits(never), "anybody", 0, 500) == 500
