"""Estimates follow what searches really take."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexer.nearest.costs import LinearCost


@given(fixed=st.floats(0.5, 50), each=st.floats(1e-4, 1e-2), seed=st.integers(0, 1000))
def test_a_straight_line_is_found(fixed: float, each: float, seed: int) -> None:
    """Whatever the first guess, sixty searches of all sizes bring most estimates within a third of the truth."""
    cost = LinearCost((3.0, 1e-3))
    amounts = np.random.default_rng(seed).integers(100, 50_000, 60)
    for amount in amounts:
        cost.observe((1, amount), fixed + each * amount)
    errors = [cost.estimate((1, amount)) / (fixed + each * amount) - 1 for amount in amounts]
    assert np.median(np.abs(errors)) < 1 / 3


@given(truth=st.floats(0.5, 500), amount=st.integers(100, 50_000))
def test_what_is_done_over_and_over_is_known_well(truth: float, amount: int) -> None:
    """Forty searches alike: the next is estimated within a tenth."""
    cost = LinearCost((3.0, 1e-3))
    for _ in range(40):
        cost.observe((1, amount), truth)
    assert abs(cost.estimate((1, amount)) / truth - 1) < 0.1


def test_one_odd_search_does_not_unsettle_an_estimate() -> None:
    """A search that took a hundred times as long, once, is soon forgotten."""
    cost = LinearCost((1.0, 1e-3))
    for _ in range(20):
        cost.observe((1, 1_000), 2.0)
    cost.observe((1, 1_000), 200.0)
    for _ in range(3):
        cost.observe((1, 1_000), 2.0)
    assert 1.5 < cost.estimate((1, 1_000)) < 3.0


def test_a_plan_long_not_taken_is_hoped_to_have_become_cheaper() -> None:
    """But never by more than a little: a plan that is ten times as dear is not tried again and again."""
    cost = LinearCost((1.0, 1e-3))
    asked = (1, 1_000)
    before = cost.hoped(asked)
    hopes = []
    for _ in range(1_000):
        cost.passed_over()
        hopes.append(cost.hoped(asked))
    assert (np.diff(hopes) <= 0).all()
    assert 0.5 * before < hopes[-1] < 0.7 * before
    assert cost.estimate(asked) == before
    cost.observe(asked, before)
    assert cost.hoped(asked) > 0.9 * before
