"""Whichever plan is taken, the same page: the one numpy finds by scoring everything."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from indexer.errors import QueryError
from indexer.nearest import Nearest, PlanName, Target
from tests.indexer.nearest.conftest import IMAGES, Library, direction, ranked, same_page

PLANS: tuple[PlanName, ...] = ("exact", "stored", "ids", "overfetch", "stream")
MEMORY = 2**30

weights = st.sampled_from([0.0, 0.3, 1.0, 7.5])


def _target(
    seeds: tuple[int, int], image: float, caption: float, missing: float, bonus: dict[int, float]
) -> Target:
    ids = np.array(sorted(bonus), np.int64)
    return Target(
        {"image": direction(seeds[0]), "caption": direction(seeds[1])},
        {"image": image, "caption": caption},
        {"image": missing, "caption": missing},
        ids,
        np.array([bonus[i] for i in ids], np.float32),
    )


targets = st.builds(
    _target,
    seeds=st.tuples(st.integers(0, 50), st.integers(0, 50)),
    image=weights,
    caption=weights,
    missing=st.sampled_from([-0.2, 0.0, 0.1]),
    bonus=st.dictionaries(st.integers(1, IMAGES), st.sampled_from([0.0, 0.25, 2.0]), max_size=40),
)


@pytest.fixture(scope="module")
def nearest(filled: Library) -> Nearest:
    """Over the filled library, all of it in memory."""
    nearest = Nearest(filled.store, filled.embedder_id, MEMORY)
    nearest.load(filled.sessions).join(30)
    return nearest


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    target=targets,
    within=st.none() | st.sets(st.integers(1, IMAGES + 20)),
    limit=st.integers(1, 60),
    start=st.none() | st.integers(0, IMAGES),
    floor=st.none() | st.floats(-1, 4),
    whole=st.booleans(),
    plan=st.sampled_from(PLANS),
)
def test_every_plan_agrees_with_scoring_everything(
    filled: Library,
    nearest: Nearest,
    target: Target,
    within: set[int] | None,
    limit: int,
    start: int | None,
    floor: float | None,
    whole: bool,
    plan: PlanName,
) -> None:
    """Over random weights, bonuses, filters, cursors and floors; counts are right or a lower bound that says so."""
    truth = filled.fused(target)
    library = filled.ids
    allowed = library if within is None else library & BitMap(within)
    everything = ranked(truth, library, None, len(library))
    after = None if start is None or start >= len(everything) else everything[start][::-1]
    with filled.sessions() as session:
        options = {"limit": limit, "after": after, "floor": floor, "whole": whole}
        try:
            found = nearest.search(
                session,
                target,
                within=allowed if within is not None else None,
                library=library,
                plan=plan,
                **options,
            )
        except QueryError:
            assert plan in ("ids", "overfetch")
            return
    assert same_page(found, ranked(truth, allowed, after, limit))
    counted = library if whole else allowed
    above = {i for i in counted if floor is None or truth[i] >= floor}
    if found.exact:
        assert found.above == BitMap(above)
        assert found.above_count == len(above)
    else:
        assert found.above is None
        assert found.above_count <= len(above)
