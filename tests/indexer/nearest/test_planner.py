"""The cheapest plan is taken, by what plans have cost here."""

from dataclasses import replace

import numpy as np
import pytest
from pyroaring import BitMap

from indexer.embeddings import MAX_LIMIT
from indexer.nearest import Target
from indexer.nearest.exact import Question
from indexer.nearest.planner import FIRST_DEPTH, GUESSES, IDS_MOST, Planner, Situation, deeper
from tests.indexer.nearest.conftest import direction

LIBRARY = BitMap(range(1, 1_000_001))
TARGET = Target({"image": direction(0)}, {"image": 1.0})
SERVER = Situation(rows=len(LIBRARY), in_memory=False, gathers=False, index="hnsw")


def asking(allowed: BitMap, limit: int = 50) -> Question:
    """For the first page of what a filter allows."""
    return Question(TARGET, LIBRARY, allowed, allowed, limit, None, None)


def test_what_can_be_done_is_offered() -> None:
    """Memory only when there is one; ids only while they fit in a request; Milvus only when it answers."""
    planner, few = Planner(), BitMap(range(1, IDS_MOST + 1))
    assert set(planner.offers(asking(few), SERVER)) == {"stored", "stream", "ids", "overfetch"}
    assert "ids" not in planner.offers(asking(BitMap(range(1, IDS_MOST + 2))), SERVER)
    assert "overfetch" not in planner.offers(asking(BitMap([1])), SERVER)
    assert set(planner.offers(asking(few), replace(SERVER, index=None, in_memory=True))) == {
        "stored",
        "exact",
    }
    tagged = replace(asking(few), target=Target({}, {}, {}, np.array([1]), np.ones(1, np.float32)))
    assert set(planner.offers(tagged, SERVER)) == {"stored", "stream"}


def test_everything_is_searched_by_milvus_and_a_few_are_read() -> None:
    """The first guesses already know a million rows from ten."""
    planner = Planner()
    assert planner.cheapest(planner.offers(asking(LIBRARY), SERVER)) == "overfetch"
    assert planner.cheapest(planner.offers(asking(BitMap(range(10))), SERVER)) == "stored"


def test_a_plan_that_disappoints_is_left_and_taken_again_when_it_is_better() -> None:
    """Choices follow what searches took, in both directions."""
    planner, question = Planner(), asking(BitMap(range(1, 1_001)))
    offers = planner.offers(question, SERVER)
    taken = []
    for slow in (True, False):
        for _ in range(200):
            name = planner.cheapest(offers)
            taken.append(name)
            ms = {"stored": 500.0 if slow else 5.0, "ids": 20.0}.get(name, 900.0)
            planner.took(offers[name], ms, [offers[n] for n in offers if n != name])
    assert set(taken[150:200]) == {"ids"}
    planner.took(offers["stored"], 5.0)
    for _ in range(10):
        planner.took(offers["stored"], 5.0)
    assert planner.cheapest(offers) == "stored"


def test_a_slow_machine_does_not_make_the_untried_look_cheap() -> None:
    """Everything is ten times as slow as guessed: the plan that is right stays right."""
    planner, question = Planner(), asking(BitMap(range(1, 501)))
    offers = planner.offers(question, SERVER)
    guessed = {name: planner.estimates(offers)[name] for name in offers}
    right = planner.cheapest(offers)
    for _ in range(50):
        name = planner.cheapest(offers)
        assert name == right
        planner.took(offers[name], 10 * guessed[name], [offers[n] for n in offers if n != name])


def test_the_depth_of_a_page_is_remembered_for_the_next() -> None:
    """A cursor starts where the page before it ended; a fresh search where such searches have ended."""
    planner, question = Planner(), asking(LIBRARY)
    assert planner.depth(question) == FIRST_DEPTH
    planner.reached(question, 2_048, (0.5, 7))
    assert planner.depth(replace(question, after=(0.5, 7))) == 2_048
    assert planner.depth(question) > FIRST_DEPTH
    for _ in range(100):
        planner.reached(question, FIRST_DEPTH, None)
    assert planner.depth(question) == FIRST_DEPTH


def test_depths_end_where_milvus_does() -> None:
    """Ever deeper, up to the bound on one answer."""
    depth: int | None = FIRST_DEPTH
    while depth is not None:
        last, depth = depth, deeper(depth)
    assert last == MAX_LIMIT


@pytest.mark.parametrize("model", GUESSES)
def test_guesses_are_positive(model: str) -> None:
    """What learning multiplies can never become free."""
    assert min(GUESSES[model]) > 0
