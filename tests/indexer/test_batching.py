"""How many images at once, and whose turn it is."""

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from indexer.batching import BatchSize, Company, ModelsTurn


def test_slow_models_get_small_batches() -> None:
    """About a second of work; quick models get all there is room for."""
    size = BatchSize(16)
    assert size.now() == 16
    size.took(16, 8.0)
    assert size.now() == 2
    for _ in range(30):
        size.took(2, 0.02)
    assert size.now() == 16


def test_a_single_slow_image_says_little() -> None:
    """Its fixed costs are not a batch's."""
    size = BatchSize(16)
    size.took(16, 0.5)
    size.took(1, 0.2)
    assert size.now() == 16


def test_what_did_not_fit_is_not_tried_again() -> None:
    """Half as many from now on, one at least."""
    size = BatchSize(16)
    size.too_many(10)
    assert size.now() == 5
    size.too_many(16)
    assert size.now() == 5
    size.too_many(1)
    assert size.now() == 1


@given(st.integers(1, 512), st.lists(st.tuples(st.integers(1, 512), st.floats(0, 1e4)), max_size=20))
def test_a_batch_is_never_empty_nor_too_large(most: int, batches: list[tuple[int, float]]) -> None:
    """Whatever was measured."""
    size = BatchSize(most)
    for images, seconds in batches:
        size.took(images, seconds)
        assert 1 <= size.now() <= most


def test_the_urgent_go_first() -> None:
    """Two bulk batches wait; the upload that comes last is next."""
    turn, order = ModelsTurn(1), []

    def look(name: int, urgent: bool) -> None:
        with turn.take([name], urgent):
            order.append(name)

    with turn.take([0]):
        waiting = [threading.Thread(target=look, args=(name, name == 3)) for name in (1, 2, 3)]
        for thread in waiting:
            thread.start()
            time.sleep(0.05)
        running = turn.longest()
        assert running is not None
        assert running.image_ids == (0,)
    for thread in waiting:
        thread.join()
    assert order[0] == 3
    assert sorted(order) == [1, 2, 3]
    assert turn.longest() is None


def test_a_failed_batch_gives_its_turn_back() -> None:
    """An exception inside is no dead end."""
    turn = ModelsTurn(1)
    for _ in range(2):
        try:
            with turn.take([1]):
                raise ValueError
        except ValueError:
            assert turn.longest() is None


def test_alone_is_alone() -> None:
    """It waits for those inside, and those who come later wait for it."""
    company, order = Company(), []
    inside, leave = threading.Event(), threading.Event()

    def together(name: str, first: bool) -> None:
        with company.together():
            if first:
                inside.set()
                leave.wait(5)
            order.append(name)

    def alone() -> None:
        with company.alone():
            order.append("alone")
            time.sleep(0.1)
            order.append("still alone")

    threads = [threading.Thread(target=together, args=("first", True))]
    threads[0].start()
    inside.wait(5)
    threads += [threading.Thread(target=alone), threading.Thread(target=together, args=("late", False))]
    for thread in threads[1:]:
        thread.start()
        time.sleep(0.05)
    assert order == []
    leave.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "alone", "still alone", "late"]
