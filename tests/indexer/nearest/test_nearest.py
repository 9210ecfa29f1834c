"""Whichever plan is taken, the same page: the one numpy finds by scoring everything."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap
from sqlalchemy import Engine

import indexer.nearest as nearest_package
from indexer import local_stack
from indexer.embeddings import EmbeddingStore
from indexer.errors import QueryError, ServiceUnavailable
from indexer.nearest import Nearest, PlanName, Target, planner, progress
from indexer.predictors import ModelIdentity
from tests.indexer.nearest.conftest import (
    DIMENSION,
    IMAGES,
    Library,
    direction,
    open_library,
    ranked,
    same_page,
)

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


def test_pages_join_into_the_whole_ranking(filled: Library, nearest: Nearest) -> None:
    """Page after page, the plan changing in between: every image once, in order, to the last."""
    target = _target((1, 2), 1.0, 7.5, 0.05, {3: 0.25, 77: 2.0})
    truth = filled.fused(target)
    seen: list[int] = []
    after = None
    with filled.sessions() as session:
        for number in range(1000):
            plan = PLANS[number % len(PLANS)]
            found = nearest.search(
                session, target, within=None, library=filled.ids, limit=23, after=after, plan=plan
            )
            seen += found.ids.tolist()
            if len(found.ids) < 23:
                break
            after = (float(found.fused[-1]), int(found.ids[-1]))
    assert seen == [i for i, _ in ranked(truth, filled.ids, None, IMAGES)]


def test_twins_are_told_apart_by_id_alone(small: Library) -> None:
    """Many images of one and the same score: ties break by id, also across pages, by every plan."""
    nearest = Nearest(small.store, small.embedder_id, MEMORY)
    nearest.load(small.sessions).join(30)
    nothing = Target({"image": direction(1)}, {"image": 0.0})
    ids = list(small.ids)
    with small.sessions() as session:
        for plan in ("exact", "stored", "stream"):
            first = nearest.search(session, nothing, within=None, library=small.ids, limit=10, plan=plan)
            after = (float(first.fused[-1]), int(first.ids[-1]))
            second = nearest.search(
                session, nothing, within=None, library=small.ids, limit=10, after=after, plan=plan
            )
            assert [*first.ids, *second.ids] == ids[:20]


def test_what_milvus_cannot_return_is_read_elsewhere(
    filled: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the bound on one Milvus answer, paging goes on by another plan, and says which was left."""
    monkeypatch.setattr(planner, "MAX_LIMIT", 64)
    monkeypatch.setattr(planner, "FIRST_DEPTH", 16)
    monkeypatch.setattr(planner, "IDS_MOST", 0)
    for model in ("stored", "stream"):
        monkeypatch.setitem(planner.GUESSES, model, (1e6, 1.0))
    bare = Nearest(filled.store, filled.embedder_id, 0)
    target = _target((3, 4), 1.0, 1.0, 0.0, {})
    expected = ranked(filled.fused(target), filled.ids, None, IMAGES)
    with filled.sessions() as session:
        first = bare.search(session, target, within=None, library=filled.ids, limit=5)
        deep = bare.search(
            session, target, within=None, library=filled.ids, limit=20, after=expected[299][::-1]
        )
    assert first.plan.name == "overfetch"
    assert same_page(first, expected[:5])
    assert deep.plan.name != "overfetch"
    assert deep.plan.detail["left"] == ["overfetch"]
    assert same_page(deep, expected[300:320])


def test_a_small_library_is_counted_without_memory(filled: Library) -> None:
    """However cheap a look into Milvus would be, a total does not depend on what one process holds in memory."""
    target = _target((3, 4), 1.0, 1.0, 0.0, {})
    fused = filled.fused(target)
    above = BitMap(i for i in filled.ids if fused[i] >= -0.5)
    bare = Nearest(filled.store, filled.embedder_id, 0)
    with filled.sessions() as session:
        found = bare.search(session, target, within=None, library=filled.ids, limit=1, floor=-0.5)
    assert (found.exact, found.above) == (True, above)


@pytest.mark.parametrize("plan", PLANS)
def test_only_the_librarys_images_come_back(filled: Library, nearest: Nearest, plan: PlanName) -> None:
    """Memory and Milvus may hold what may no longer be found."""
    target = _target((5, 6), 1.0, 0.3, 0.0, {})
    library = BitMap(list(filled.ids)[::3])
    with filled.sessions() as session:
        found = nearest.search(session, target, within=None, library=library, limit=50, plan=plan)
    assert same_page(found, ranked(filled.fused(target), library, None, 50))


def test_an_approximate_index_loses_nothing_that_ids_were_sent_for(
    stack: local_stack.Endpoints, engine: Engine
) -> None:
    """HNSW drops hits that a filter leaves; those are found by scoring what the filter allows."""
    library = open_library(engine, stack.milvus_url, index="HNSW")
    rng = np.random.default_rng(2)
    for _ in range(300):
        library.add(rng, captions=1)
    library.fill_milvus()
    few = BitMap(list(library.ids)[::15])
    target = _target((7, 8), 1.0, 1.0, 0.0, {})
    bare = Nearest(library.store, library.embedder_id, 0)
    with library.sessions() as session:
        found = bare.search(session, target, within=few, library=library.ids, limit=10, plan="ids")
    assert same_page(found, ranked(library.fused(target), few, None, 10))
    library.store.close()


def test_an_unfinished_index_is_asked_only_if_nothing_else_will_do(
    stack: local_stack.Endpoints, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a server still builds its index it finds part of what is near; memory or Postgres find all of it."""
    library = open_library(engine, stack.milvus_url, index="HNSW")
    rng = np.random.default_rng(3)
    for _ in range(100):
        library.add(rng, captions=1)
    library.fill_milvus()
    built = {"images": 1.0, "captions": 0.4}
    monkeypatch.setattr(library.store, "indexed", built.__getitem__)
    monkeypatch.setattr(progress, "LOOK_S", 0.0)
    target = _target((7, 8), 1.0, 1.0, 0.0, {})
    everything = ranked(library.fused(target), library.ids, None, 10)
    remembering, bare = (Nearest(library.store, library.embedder_id, memory) for memory in (MEMORY, 0))
    remembering.load(library.sessions).join(30)
    with library.sessions() as session:
        for _ in range(300):  # however cheap the others look
            found = remembering.search(session, target, within=None, library=library.ids, limit=10)
            assert (found.plan.name, found.plan.detail["index"]) == ("exact", "unfinished")
        assert same_page(found, everything)
        assert bare.search(session, target, within=None, library=library.ids, limit=10).plan.name == "stored"
        monkeypatch.setattr(nearest_package, "STORED_MOST", 50)
        found = bare.search(session, target, within=None, library=library.ids, limit=10)
        assert found.plan.detail["index"] == "unfinished"
        built["captions"] = 1.0
        found = remembering.search(session, target, within=None, library=library.ids, limit=10)
        assert "index" not in found.plan.detail
    library.store.close()


def test_nobody_waits_behind_a_milvus_that_does_not_tell(
    filled: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One search asks how far the index is; meanwhile, and for a while after it failed, others take it as it was."""
    asked, answer = threading.Event(), threading.Event()

    def hang(_: str) -> float:
        asked.set()
        answer.wait(30)
        raise ServiceUnavailable("milvus", "away")

    monkeypatch.setattr(filled.store, "indexed", hang)
    index = progress.IndexProgress(filled.store)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(index.finished, ["images"])
        assert asked.wait(30)
        assert not index.finished(["images"])
        answer.set()
        with pytest.raises(ServiceUnavailable):
            first.result(30)
    assert not index.finished(["images"])


def test_nothing_passes(filled: Library, nearest: Nearest) -> None:
    """An empty filter, an empty library and a filter of unknown ids give an empty page."""
    target = _target((5, 6), 1.0, 0.3, 0.0, {})
    with filled.sessions() as session:
        for within, library in ((BitMap(), filled.ids), (None, BitMap()), (BitMap([999_999]), filled.ids)):
            found = nearest.search(session, target, within=within, library=library, limit=5, floor=0.0)
            assert (len(found.ids), found.above_count, found.exact) == (0, 0, True)


def test_each_channels_cosine_is_reported(filled: Library, nearest: Nearest) -> None:
    """What each channel said of a hit, and what was assumed where it could say nothing."""
    target = _target((1, 1), 1.0, 1.0, -0.125, {})
    with filled.sessions() as session:
        found = nearest.search(session, target, within=None, library=filled.ids, limit=IMAGES)
    for image_id, image, caption in zip(found.ids.tolist(), *found.scores.values(), strict=True):
        rows = filled.captions[image_id]
        assert caption == pytest.approx(max((r @ direction(1) for r in rows), default=-0.125), abs=1e-5)
        own = filled.images.get(image_id)
        assert image == pytest.approx(-0.125 if own is None else own @ direction(1), abs=1e-5)


def test_milvus_away_searching_goes_on_from_memory(filled: Library) -> None:
    """With the embeddings in memory nobody notices, but for the plan's detail."""
    away = Nearest(_nowhere(), filled.embedder_id, MEMORY)
    away.load(filled.sessions).join(30)
    target = _target((1, 2), 1.0, 1.0, 0.0, {})
    with filled.sessions() as session:
        found = away.search(session, target, within=None, library=filled.ids, limit=10)
    assert same_page(found, ranked(filled.fused(target), filled.ids, None, 10))
    assert (found.plan.name, found.plan.detail["milvus"]) == ("exact", "away")


def test_milvus_away_a_few_are_read_from_postgres(filled: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without memory, as many as can be scored in reasonable time; more is an honest refusal."""
    away = Nearest(_nowhere(), filled.embedder_id, 0)
    target = _target((1, 2), 1.0, 1.0, 0.0, {})
    monkeypatch.setattr(nearest_package, "STORED_MOST", 50)
    few = BitMap(list(filled.ids)[:50])
    with filled.sessions() as session:
        for _ in range(2):
            found = away.search(session, target, within=few, library=filled.ids, limit=10)
            assert same_page(found, ranked(filled.fused(target), few, None, 10))
            assert (found.plan.name, found.plan.detail["milvus"]) == ("stored", "away")
            with pytest.raises(ServiceUnavailable, match="does not answer"):
                away.search(session, target, within=None, library=filled.ids, limit=10)


def test_milvus_away_and_too_much_to_read_bonuses_are_what_is_left(
    filled: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who get one come first, the rest as if nothing had an embedding; the plan says so."""
    away = Nearest(_nowhere(), filled.embedder_id, 0)
    monkeypatch.setattr(nearest_package, "STORED_MOST", 0)
    ids = list(filled.ids)
    target = _target((1, 2), 1.0, 1.0, 0.125, {ids[7]: 0.5, ids[3]: 2.0})
    with filled.sessions() as session:
        for _ in range(2):
            found = away.search(session, target, within=None, library=filled.ids, limit=3, floor=0.3)
            assert found.ids.tolist() == [ids[3], ids[7], ids[0]]
            assert found.fused.tolist() == [2.25, 0.75, 0.25]
            assert found.above == BitMap([ids[3], ids[7]])
            assert (found.plan.name, found.plan.detail["milvus"]) == ("bonus", "away")


def test_a_target_whose_parts_do_not_fit_is_refused() -> None:
    """Before anything is searched, by name."""
    with pytest.raises(QueryError, match="Weights"):
        Target({"image": direction(0)}, {"image": -1.0})
    with pytest.raises(QueryError, match="ascend"):
        Target({}, {}, {}, np.array([2, 1]), np.ones(2, np.float32))
    with pytest.raises(QueryError, match="not negative"):
        Target({}, {}, {}, np.array([1]), np.array([-1.0], np.float32))


def _nowhere() -> EmbeddingStore:
    identity = ModelIdentity("embedder", "test", "0")
    return EmbeddingStore("unix:/nonexistent/milvus.sock", dimension=DIMENSION, model=identity, timeout_s=2)
