"""What does not work is noticed aside, and what is back is too."""

import threading

from indexer.errors import ServiceUnavailable
from search_api.condition import MEANS, Condition


class Parts:
    """Parts that work or not, as a test likes."""

    def __init__(self) -> None:
        self.away: set[str] = set()

    def condition(self) -> Condition:
        """What looks after them."""
        return Condition({name: lambda name=name: self._check(name) for name in MEANS})

    def _check(self, name: str) -> None:
        if name in self.away:
            raise ServiceUnavailable(name, "away")


def test_what_is_missing_is_known_after_a_look() -> None:
    """With what that means, in a stable order; what is back is missing no more."""
    parts = Parts()
    condition = parts.condition()
    parts.away = {"workers", "milvus"}
    assert condition.missing == ()
    condition.look()
    assert [(part.part, part.detail) for part in condition.missing] == [
        ("milvus", MEANS["milvus"]),
        ("workers", MEANS["workers"]),
    ]
    parts.away.clear()
    condition.look()
    assert condition.missing == ()


def test_servers_that_are_away_are_looked_for_and_workers_are_not() -> None:
    """A private server is started again; there is nothing to be done here about workers."""
    parts = Parts()
    parts.away = {"workers"}
    mended, condition = threading.Event(), parts.condition()
    condition.watch(mended.set)
    assert not mended.wait(0.3)
    condition.close()
    parts.away = {"redis"}
    condition = parts.condition()
    condition.watch(mended.set)
    assert mended.wait(5)
    condition.close()
