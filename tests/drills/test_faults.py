"""The drill of `make faults`, shortened: each service is killed once while a few pictures are taken in."""

import pytest

from tests.drills.faults import drill
from tests.drills.telling import say


@pytest.mark.timeout(420)
def test_nothing_is_lost_when_each_service_is_killed() -> None:
    """Every picture indexed once or named, both stores agree, every acknowledged write there, failures explained."""
    verdict = drill(images=120, rounds=5, seed=7, say=say, pause_s=0)
    assert verdict.wrong == []
    assert len(verdict.faults) == 5
    assert verdict.answered["search"] > 10
