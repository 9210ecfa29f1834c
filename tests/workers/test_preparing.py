"""The step that decodes ahead, and those who use what it decoded."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image as Pillow
from sqlalchemy import func, select, update

from indexer.batching import Company
from indexer.catalog import hits, models, preparing, work
from indexer.decoder import Decoder
from indexer.decoding import DecodePool
from indexer.errors import ServiceUnavailable
from indexer.images import InputSpec
from indexer.storage import Storage
from indexer.tables import Image, JobStage, Work
from tests.indexer.conftest import Library
from tests.workers.conftest import Crew
from workers.indexing import IndexStep
from workers.preparing import PrepareStep
from workers.presence import Presence


@pytest.fixture
def known(library: Library) -> Library:
    """A library of which it is known how its models want their pixels."""
    pipeline = library.pipeline
    inputs = pipeline.models.input_of
    ids = {kind: getattr(pipeline.annotators, kind) for kind in inputs}
    with library.sessions.begin() as session:
        preparing.note_inputs(session, {ids[kind]: spec.name for kind, spec in inputs.items()})
        for kind, annotator_id in ids.items():
            models.settle(session, kind, annotator_id)
    return library


def _step(library: Library, presence: Presence, most: int = 4, ahead: int = 100) -> PrepareStep:
    decoder = Decoder(library.sessions, library.pipeline.storage, library.pipeline.pool)
    return PrepareStep(library.sessions, presence, decoder, most, ahead)


def _prepared(library: Library) -> dict[int, str | None]:
    with library.sessions() as session:
        return dict(session.execute(select(Work.image_id, Work.prepared)).all())


def _view(library: Library, image_id: int) -> hits.ImageView:
    with library.sessions() as session:
        return hits.load(session, [image_id])[0]


def test_what_is_decoded_ahead_is_seen_alike(
    known: Library, presence: Presence, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same tags, captions, facts and thumbnails; whoever looks decodes nothing; nothing is left over."""
    apart = known.register(*photographs[:3])
    known.bring(apart)
    before = [_view(known, image_id) for image_id in apart]
    thumbnails = [known.pipeline.storage.get_thumbnail(view.content_hash) for view in before]
    with known.sessions.begin() as session:
        session.execute(update(Image).values(state="pending"))
        work.add(session, apart)
    step = _step(known, presence)
    assert [step(), step()] == [True, False]
    wanted = ",".join(sorted({spec.name for spec in known.pipeline.models.inputs}))
    assert set(_prepared(known).values()) == {wanted}
    monkeypatch.setattr(DecodePool, "_submit", _nobody)
    known.bring(apart)
    after = [_view(known, image_id) for image_id in apart]
    assert [replace(view, indexed_at=None) for view in after] == [replace(v, indexed_at=None) for v in before]
    assert [known.pipeline.storage.get_thumbnail(view.content_hash) for view in after] == thumbnails
    assert _prepared(known) == {}
    assert known.pipeline.storage.prepared_images() == []


def _nobody(*_: object) -> None:
    raise AssertionError("it was decoded again")


def test_uploads_suspects_and_what_is_done_are_left_alone(
    known: Library, presence: Presence, photographs: list[Path]
) -> None:
    """What somebody waits for is decoded where it is looked at; suspects are looked at alone."""
    urgent, suspect, done, bulk = known.register(*photographs[:4])
    with known.sessions.begin() as session:
        session.execute(update(Work).where(Work.image_id == urgent).values(priority=work.INTERACTIVE))
        session.execute(update(Work).where(Work.image_id == suspect).values(batch_limit=1))
        session.execute(update(Image).where(Image.id == done).values(state="indexed"))
    step = _step(known, presence)
    assert [step(), step()] == [True, False]
    names = _prepared(known)
    assert (names[urgent], names[suspect], names[done]) == (None, None, "")
    assert names[bulk]
    with known.sessions() as session:
        left = session.execute(select(Work.claimed_by, Work.attempts)).all()
    assert set(left) == {(None, 0)}


def test_no_more_than_allowed_lies_ahead(known: Library, presence: Presence, photographs: list[Path]) -> None:
    """The store is not filled with pixels; as they are looked at, more are decoded."""
    ids = known.register(*photographs[:5])
    step = _step(known, presence, most=2, ahead=3)
    assert [step(), step(), step()] == [True, True, False]
    assert sum(name is not None for name in _prepared(known).values()) == 3
    known.bring(ids[:2])
    assert [step(), step()] == [True, False]


def test_nothing_is_decoded_before_models_have_said_what_they_want(
    library: Library, presence: Presence, photographs: list[Path]
) -> None:
    """A new library: the first worker with models says so."""
    library.register(*photographs[:1])
    assert not _step(library, presence)()


def test_what_was_decoded_for_other_models_is_decoded_again(
    known: Library, presence: Presence, photographs: list[Path]
) -> None:
    """As after a change of model; the same where the store has lost it."""
    other, lost = known.register(*photographs[:2])
    assert _step(known, presence)()
    with known.sessions.begin() as session:
        session.execute(update(Work).where(Work.image_id == other).values(prepared=InputSpec(32).name))
    known.pipeline.storage.delete_prepared(_view(known, lost).content_hash)
    known.bring([other, lost])
    assert [_view(known, image_id).state for image_id in (other, lost)] == ["indexed", "indexed"]
    assert known.pipeline.storage.prepared_images() == []


def test_what_cannot_be_decoded_is_named_at_once(
    known: Library, presence: Presence, photographs: list[Path], tmp_path: Path
) -> None:
    """With its reason, as where it is looked at; its neighbours are prepared."""
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff" + bytes(200))
    [bad] = known.register(broken)
    [good] = known.register(photographs[0])
    assert _step(known, presence)()
    assert _view(known, bad).state == "failed"
    assert list(_prepared(known)) == [good]


def test_a_store_that_is_away_loses_nothing(
    known: Library, presence: Presence, photographs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images are free again, and nobody is to blame."""
    known.register(*photographs[:2])

    def away(*_: object) -> None:
        raise ServiceUnavailable("storage", "away")

    with monkeypatch.context() as patch:
        patch.setattr(Storage, "put_prepared", away)
        with pytest.raises(ServiceUnavailable):
            _step(known, presence)()
    with known.sessions() as session:
        rows = session.execute(select(Work.claimed_by, Work.prepared, Work.attempts, Work.batch_limit)).all()
    assert set(rows) == {(None, None, 0, None)}
    assert _step(known, presence)()


def test_deleted_images_leave_nothing(known: Library, presence: Presence, photographs: list[Path]) -> None:
    """Deleted while decoded ahead: its pixels go with it. What a dead worker left behind is swept up."""
    first, second = known.register(*photographs[:2])
    step = _step(known, presence)
    assert step()
    known.remover.remove([first])
    kept = _view(known, second).content_hash
    assert known.pipeline.storage.prepared_images() == [kept]
    with known.sessions.begin() as session:
        work.finish(session, [second], None)
    step.sweep()
    assert known.pipeline.storage.prepared_images() == []


def test_both_steps_side_by_side_do_each_image_once(
    known: Library, presence: Presence, tmp_path: Path
) -> None:
    """Whoever comes first decodes; all are seen, once, and their seconds are counted with their job."""
    paths = []
    for number in range(12):
        paths.append(tmp_path / f"{number}.png")
        Pillow.effect_noise((64, 48), 20 + number).convert("RGB").save(paths[-1])
    ids = known.register(*paths)
    look = IndexStep(known.sessions, presence, lambda: known.pipeline, known.pipeline.size, Company())
    prepare = _step(known, presence, most=3)
    while _prepared(known):
        prepare()
        look()
    with known.sessions() as session:
        states = session.scalars(select(Image.state).where(Image.id.in_(ids))).all()
        assert session.scalar(select(func.count()).select_from(JobStage)) == 0
    assert set(states) == {"annotated"} or set(states) == {"indexed"}
    assert known.pipeline.storage.prepared_images() == []


@pytest.mark.timeout(300)
def test_a_worker_without_models_decodes_for_one_with_them(crew: Crew) -> None:
    """Two processes, as on two machines: what one decodes the other looks at."""
    first = crew.add(1)
    crew.start(queues="index,writes")
    crew.until(lambda: crew.finished(first), 120)
    crew.end()
    ids = crew.add(30)
    decoder = crew.start(queues="decode")
    crew.until(lambda: _waiting(crew) == 30, 120)
    assert crew.log.count("looked at") == 1
    crew.start(queues="index,writes")
    crew.until(lambda: crew.finished(ids), 120)
    assert set(crew.states(ids).values()) == {"indexed"}
    assert decoder.poll() is None
    assert _waiting(crew) == 0


def _waiting(crew: Crew) -> int:
    with crew.sessions() as session:
        return preparing.waiting(session)
