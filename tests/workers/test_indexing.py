"""The step that looks at images, and the worker's presence, in this process."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from sqlalchemy import select, update

from indexer.batching import BatchSize, Company
from indexer.catalog import claims, images, work
from indexer.errors import ModelsBroken, ModelsChanged, ServiceUnavailable
from indexer.pipeline import Models, Pipeline, Sight
from indexer.storage import Storage
from indexer.tables import Image, Work, WorkerProcess
from tests.indexer.conftest import Library
from tests.workers import doubles
from tests.workers.doubles import Pixels
from workers import indexing
from workers.indexing import IndexStep
from workers.presence import Presence, host

Fault = Callable[[Pixels], None]


@pytest.fixture
def befall(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fault], None]:
    """Puts a fault before what the models do."""
    real = Models.look

    def befall(fault: Fault) -> None:
        def look(self: Models, pixels: Pixels) -> Sight:
            fault(pixels)
            return real(self, pixels)

        monkeypatch.setattr(Models, "look", look)

    return befall


def _step(library: Library, presence: Presence, pipeline: Callable[[], Pipeline] | None = None) -> IndexStep:
    road = pipeline or (lambda: library.pipeline)
    return IndexStep(library.sessions, presence, road, library.pipeline.size, Company())


def _red(folder: Path) -> Path:
    path = folder / "red.png"
    Pillow.new("RGB", (64, 48), (255, 0, 0)).save(path)
    return path


def _work(library: Library) -> list[tuple[int, int, int | None, int | None, str | None]]:
    columns = (Work.image_id, Work.attempts, Work.batch_limit, Work.claimed_by, Work.error_code)
    with library.sessions() as session:
        return [tuple(row) for row in session.execute(select(*columns).order_by(Work.image_id))]


def _states(library: Library, image_ids: list[int]) -> list[str]:
    with library.sessions() as session:
        found = dict(session.execute(select(Image.id, Image.state).where(Image.id.in_(image_ids))).all())
    return [found[image_id] for image_id in image_ids]


def test_a_step_is_a_batch(library: Library, presence: Presence, photographs: list[Path]) -> None:
    """Six pictures in batches of four: two steps, then nothing."""
    ids = sorted(library.register(*photographs))
    step = _step(library, presence)
    assert [step(), step(), step()] == [True, True, False]
    assert set(_states(library, ids)) <= {"annotated", "indexed"}
    assert _work(library) == []


def test_the_image_models_fail_on_is_set_aside(
    library: Library,
    presence: Presence,
    photographs: list[Path],
    tmp_path: Path,
    befall: Callable[[Fault], None],
) -> None:
    """Its batch is halved until it is alone: it is tried again later, its neighbours are done now."""
    befall(doubles.fail)
    *good, red = library.register(*photographs[:3], _red(tmp_path))
    assert _step(library, presence)()
    assert set(_states(library, good)) <= {"annotated", "indexed"}
    assert _work(library) == [(red, 1, 1, None, "models_failed")]


def test_what_fails_again_and_again_is_given_up_and_can_be_retried(
    library: Library, presence: Presence, tmp_path: Path, befall: Callable[[Fault], None]
) -> None:
    """With its reason; after a retry, by models that can, it is indexed."""
    befall(doubles.fail)
    [red] = library.register(_red(tmp_path))
    step = _step(library, presence)
    for _ in range(work.ATTEMPTS):
        with library.sessions.begin() as session:
            session.execute(update(Work).values(not_before=None))
        assert step()
    befall(lambda _: None)
    assert _states(library, [red]) == ["dead"]
    with library.sessions.begin() as session:
        assert images.given_up(session) == {"models_failed": 1}
        assert images.to_retry(session, "worker_died", refused=False) == []
        images.look_again(session, images.to_retry(session, None, refused=False))
    assert step()
    assert _states(library, [red])[0] in ("annotated", "indexed")


def test_broken_models_blame_no_image(
    library: Library,
    presence: Presence,
    photographs: list[Path],
    befall: Callable[[Fault], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lost GPU fails on everything: the worker ends, the images wait for another as they were."""
    ended: list[bool] = []
    monkeypatch.setattr(indexing, "end_gracefully", lambda: ended.append(True))

    def lost(_: Pixels) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    befall(lost)
    ids = sorted(library.register(*photographs[:3]))
    with pytest.raises(ModelsBroken, match="device-side"):
        _step(library, presence)()
    assert ended == [True]
    assert _work(library) == [(image_id, 0, None, None, None) for image_id in ids]


def test_short_memory_is_remembered(
    library: Library, presence: Presence, photographs: list[Path], befall: Callable[[Fault], None]
) -> None:
    """Batches of two from then on, and everything is done."""
    befall(doubles.out_of_memory)
    ids = sorted(library.register(*photographs))
    size = BatchSize(4, seconds=600.0)  # however slow this machine is
    roomy = replace(library.pipeline, size=size)
    step = IndexStep(library.sessions, presence, lambda: roomy, size, Company())
    while step():
        pass
    assert size.now() == 2
    assert set(_states(library, ids)) <= {"annotated", "indexed"}


def test_a_store_that_is_away_leaves_no_mark(
    library: Library, presence: Presence, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is free again, as it was."""
    ids = sorted(library.register(*photographs[:2]))

    def away(*_: object) -> None:
        raise ServiceUnavailable("storage", "away")

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "put_thumbnail", away)
        with pytest.raises(ServiceUnavailable):
            _step(library, presence)()
    assert _work(library) == [(image_id, 0, None, None, None) for image_id in ids]


def test_statements_of_replaced_models_are_not_saved(
    library: Library, presence: Presence, photographs: list[Path]
) -> None:
    """The batch is looked at again by those in effect."""
    ids = sorted(library.register(*photographs[:2]))

    def changed() -> Pipeline:
        raise ModelsChanged("others are in effect")

    assert _step(library, presence, changed)()
    assert [row[0] for row in _work(library)] == ids
    assert _step(library, presence)()
    assert _work(library) == []


def test_work_taken_over_by_another_is_not_saved(
    library: Library, presence: Presence, photographs: list[Path]
) -> None:
    """Stopped for a minute, this worker was taken for dead; what it then finds out is dropped."""
    ids = sorted(library.register(*photographs[:2]))
    other: list[int] = []

    def slow() -> Pipeline:
        with library.sessions.begin() as session:
            mine = presence.worker_id
            other.append(claims.register_worker(session, "elsewhere", 1))
            session.execute(update(Work).where(Work.claimed_by == mine).values(claimed_by=other[0]))
        return library.pipeline

    assert _step(library, presence, slow)()
    assert {row[3] for row in _work(library)} == set(other)
    assert _states(library, ids) == ["pending", "pending"]


def test_who_was_taken_for_dead_goes_on_under_a_new_id(library: Library, presence: Presence) -> None:
    """Its old claims are others'; it is seen again."""
    before = presence.worker_id
    with library.sessions.begin() as session:
        claims.leave(session, before)
    presence.beat()
    assert presence.worker_id != before
    with library.sessions() as session:
        assert session.scalars(select(WorkerProcess.id)).all() == [presence.worker_id]


def test_a_crashed_worker_of_this_machine_is_noticed_at_once(
    library: Library, presence: Presence, photographs: list[Path]
) -> None:
    """Its process is gone: no need to wait until it has been silent for long."""
    ids = sorted(library.register(*photographs[:2]))
    with library.sessions.begin() as session:
        gone = claims.register_worker(session, host(), 2**22 + 1)
        work.claim(session, gone, 2)
    presence.beat()
    assert _work(library) == [(image_id, 1, 1, None, "worker_died") for image_id in ids]


def test_noise_is_not_red() -> None:
    """The doubles know their pictures apart."""
    spec = object()
    red = np.zeros((1, 4, 4, 3), np.uint8)
    red[..., 0] = 255
    grey = np.full((3, 4, 4, 3), 127, np.uint8)
    assert doubles.shows_red({spec: red})  # type: ignore[dict-item]
    assert not doubles.shows_red({spec: grey})  # type: ignore[dict-item]
