"""Drains: slots, waking, failing, stopping."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from indexer.errors import ServiceUnavailable
from workers.drain import Drain


def _eventually(holds: Callable[[], bool], within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


@pytest.fixture
def stopping() -> Iterator[threading.Event]:
    """Set at the end, so that no thread is left."""
    event = threading.Event()
    yield event
    event.set()


class Pile:
    """So many pieces of work, done one by one; `held` keeps whoever works from finishing."""

    def __init__(self, pieces: int) -> None:
        self.left, self.done, self.most = pieces, 0, 0
        self.held = threading.Event()
        self.held.set()
        self._working = 0
        self._lock = threading.Lock()

    def step(self) -> bool:
        with self._lock:
            if not self.left:
                return False
            self.left -= 1
            self._working += 1
            self.most = max(self.most, self._working)
        self.held.wait(10)
        with self._lock:
            self._working -= 1
            self.done += 1
        return True


def test_runs_until_nothing_is_left(stopping: threading.Event) -> None:
    """One call empties the queue."""
    pile = Pile(20)
    Drain("test", pile.step, 1, stopping).run()
    assert (pile.done, pile.left) == (20, 0)


def test_never_more_at_once_than_slots(stopping: threading.Event) -> None:
    """Who comes when all are busy is sent away at once."""
    pile = Pile(8)
    pile.held.clear()
    drain = Drain("test", pile.step, 2, stopping)
    runs = [threading.Thread(target=drain.run) for _ in range(4)]
    for run in runs:
        run.start()
    assert _eventually(lambda: drain.busy == 2 and sum(run.is_alive() for run in runs) == 2)
    pile.held.set()
    for run in runs:
        run.join()
    assert (pile.done, pile.most, drain.busy) == (8, 2, 0)


def test_work_nobody_told_of_is_found(stopping: threading.Event) -> None:
    """The message was lost; a second later it is done all the same."""
    pile = Pile(0)
    drain = Drain("test", pile.step, 2, stopping)
    drain.start()
    time.sleep(0.1)
    pile.left = 3
    assert _eventually(lambda: pile.done == 3, within_s=3)


def test_waking_is_at_once(stopping: threading.Event) -> None:
    """Nobody who waits for an upload waits for the sweep as well; twenty times in a row."""
    pile = Pile(0)
    drain = Drain("test", pile.step, 1, stopping)
    drain.start()
    started = time.monotonic()
    for number in range(1, 21):
        pile.left = 1
        drain.wake()
        assert _eventually(lambda number=number: pile.done == number)
    assert time.monotonic() - started < 5


def test_goes_on_when_the_store_is_back(stopping: threading.Event) -> None:
    """A store that is away, and a step with a fault, are no end; what can be brought back is asked for."""
    errors: list[Exception] = [ServiceUnavailable("postgres", "away"), ValueError("odd")]
    pile, healed = Pile(1), []

    def step() -> bool:
        if errors:
            raise errors.pop()
        return pile.step()

    def heal() -> None:
        healed.append(True)
        raise OSError("not from here")

    drain = Drain("test", step, 1, stopping, heal)
    drain.run()
    assert (pile.done, len(healed)) == (1, 1)


def test_stopping_finishes_what_is_at_hand_and_no_more(stopping: threading.Event) -> None:
    """A batch is not torn; the rest stays for others."""
    pile = Pile(5)
    pile.held.clear()
    drain = Drain("test", pile.step, 1, stopping)
    drain.start()
    assert _eventually(lambda: drain.busy == 1)
    stopping.set()
    assert not drain.join(0.1)
    pile.held.set()
    assert drain.join(5)
    assert (pile.done, pile.left) == (1, 4)


def test_stopping_ends_the_wait_for_a_store(stopping: threading.Event) -> None:
    """A worker can be stopped while Postgres is away, and then starts nothing again."""
    healed: list[bool] = []

    def away() -> bool:
        raise ServiceUnavailable("postgres", "away")

    drain = Drain("test", away, 1, stopping, lambda: healed.append(True))
    drain.start()
    time.sleep(0.05)
    stopping.set()
    assert drain.join(2)
    assert len(healed) <= 1
