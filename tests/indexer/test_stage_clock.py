"""Seconds by stage."""

import time

from indexer.stage_clock import StageClock, stage


def test_a_stage_is_counted_without_the_stages_inside_it() -> None:
    """The whole is the sum of its parts, and no second is counted twice."""
    clock = StageClock()
    started = time.perf_counter()
    with clock.running(), stage("outer"):
        time.sleep(0.02)
        with stage("inner"):
            time.sleep(0.05)
    elapsed = time.perf_counter() - started
    assert clock.seconds["inner"] >= 0.05
    assert 0.02 <= clock.seconds["outer"] < elapsed - 0.04
    assert abs(sum(clock.seconds.values()) - elapsed) < 0.02


def test_no_clock_no_cost() -> None:
    """Outside a running clock a stage is only what is inside it."""
    clock = StageClock()
    with stage("tag"):
        pass
    with clock.running():
        pass
    with stage("tag"):
        pass
    assert not clock.seconds


def test_taken_seconds_are_gone() -> None:
    """What was taken once is not reported again."""
    clock = StageClock()
    clock.seconds["read"] += 1
    assert clock.take() == {"read": 1}
    assert clock.take() == {}
