"""The queue of images to look at: who gets what, and what becomes of what kills its worker."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import claims, images, work
from indexer.tables import Image, Work, WorkerProcess
from tests.catalogue import new_file


def _waiting(session: Session, count: int, priority: int = work.BULK) -> list[int]:
    files = [new_file() for _ in range(count)]
    return sorted(row.image_id for row in images.register(session, files, priority=priority))


def _worker(session: Session, pid: int = 1) -> int:
    return claims.register_worker(session, "here", pid)


def _claim(session: Session, worker: int, most: int, urgent: bool = False) -> work.Claim:
    """What a worker with nothing else at hand gets; an empty claim for nothing."""
    return work.claim(session, worker, most, urgent, alone=True) or work.Claim([])


def _state(session: Session, image_id: int) -> tuple[str, str | None]:
    state, code = session.execute(select(Image.state, Image.error_code).where(Image.id == image_id)).one()
    return state, code


def test_the_first_come_first_and_nothing_twice(session: Session) -> None:
    """What one worker has claimed, another does not get."""
    ids = _waiting(session, 5)
    one, two = _worker(session), _worker(session, 2)
    assert _claim(session, one, 3).image_ids == ids[:3]
    assert _claim(session, two, 3).image_ids == ids[3:]
    assert _claim(session, one, 3).image_ids == []


def test_an_upload_goes_before_what_waits_for_longer(session: Session) -> None:
    """And alone: half a batch of other images would only keep it waiting."""
    bulk, upload = _waiting(session, 3), _waiting(session, 1, work.INTERACTIVE)
    worker = _worker(session)
    assert _claim(session, worker, 16).image_ids == upload
    assert _claim(session, worker, 16).image_ids == bulk


def test_the_urgent_slot_takes_only_what_is_urgent(session: Session) -> None:
    """So that it is free when an upload comes."""
    _waiting(session, 3)
    worker = _worker(session)
    assert _claim(session, worker, 16, urgent=True).image_ids == []
    upload = _waiting(session, 1, work.INTERACTIVE)
    assert _claim(session, worker, 16, urgent=True).image_ids == upload


def test_asking_again_can_only_make_it_sooner(session: Session) -> None:
    """A folder that holds an upload's picture does not send it back in the queue."""
    [image_id] = _waiting(session, 1)
    for priority in (work.INTERACTIVE, work.BULK):
        work.add(session, [image_id], None, priority)
    assert session.scalars(select(Work.priority)).all() == [work.INTERACTIVE]


def test_what_is_released_is_as_it_was(session: Session) -> None:
    """A store that was away leaves no mark on images."""
    ids = _waiting(session, 4)
    worker = _worker(session)
    work.release(session, _claim(session, worker, 4), worker)
    claim = _claim(session, worker, 4)
    assert (claim.image_ids, claim.batch_limit) == (ids, None)


def test_only_the_owner_strikes_off(session: Session) -> None:
    """A worker that was taken for dead finds that its work is another's."""
    ids = _waiting(session, 2)
    one, two = _worker(session), _worker(session, 2)
    _claim(session, one, 1)
    assert work.finish(session, ids, two) == set()
    assert work.finish(session, ids, None) == {ids[1]}
    assert work.finish(session, ids, one) == {ids[0]}


def test_attempts_in_vain_are_counted_and_end(session: Session) -> None:
    """Alone from then on, later each time by whoever asks, dead in the end with the reason."""
    [image_id, other] = _waiting(session, 2)
    worker = _worker(session)
    _claim(session, worker, 2)
    work.put_off(session, image_id, worker, "models_failed", "no", 3600, alone=True)
    work.release(session, work.Claim([other]), worker)
    assert _claim(session, worker, 2).image_ids == [other]
    for _ in range(work.ATTEMPTS - 1):
        session.execute(update(Work).where(Work.image_id == image_id).values(not_before=None))
        assert _claim(session, worker, 16) == work.Claim([image_id], 1)
        work.put_off(session, image_id, worker, "models_failed", "no", 3600, alone=True)
    assert _state(session, image_id) == ("dead", "models_failed")
    assert session.scalars(select(Work.image_id)).all() == [other]


def _die(session: Session, pid: int) -> None:
    """The worker of this pid is gone; another one notices."""
    assert claims.free_dead(session, _worker(session, 999), "here", lambda other: other == 999) == [pid]


@pytest.mark.parametrize("count", [1, 2, 16, 50])
@pytest.mark.parametrize("which", [0, -1])
def test_the_image_that_kills_is_found_by_halving(session: Session, count: int, which: int) -> None:
    """All others are looked at; it dies a few deaths, never with as many beside it as before."""
    ids = _waiting(session, count)
    poison, sizes, pid = ids[which], [], 1
    worker = _worker(session, pid)
    while claim := _claim(session, worker, 16).image_ids:
        if poison not in claim:
            work.finish(session, claim, worker)
            continue
        sizes.append(len(claim))
        _die(session, pid)
        pid += 1
        worker = _worker(session, pid)
    assert _state(session, poison) == ("dead", work.WORKER_DIED)
    assert session.scalars(select(Work.image_id)).all() == []
    assert sizes == sorted(sizes, reverse=True)
    assert all(after <= max(before // 2, 1) for before, after in pairwise(sizes))
    assert len(sizes) <= 6


def test_suspects_come_only_to_who_is_alone(session: Session) -> None:
    """Whoever has others at hand is told to come back without them; what is new goes on for all."""
    _waiting(session, 4)
    _claim(session, _worker(session, 1), 4)
    _die(session, 1)
    worker = _worker(session, 2)
    assert work.claim(session, worker, 4) == work.Claim([], 2)
    assert len(_claim(session, worker, 4).image_ids) == 2
    assert work.claim(session, worker, 4, urgent=True) is None


def test_a_machine_switched_off_blames_nobody(session: Session) -> None:
    """Two kills from outside, even at one image alone, leave it in the queue."""
    [image_id] = _waiting(session, 1)
    for pid in (1, 2):
        _claim(session, _worker(session, pid), 16)
        _die(session, pid)
    assert _state(session, image_id)[0] == "pending"
    assert _claim(session, _worker(session, 3), 16).image_ids == [image_id]


def test_a_silent_worker_elsewhere_is_dead(session: Session) -> None:
    """Its processes cannot be looked at from here; one that speaks is left alone."""
    ids = _waiting(session, 2)
    silent, speaking = (
        claims.register_worker(session, "there", 1),
        claims.register_worker(session, "there", 2),
    )
    _claim(session, silent, 1)
    _claim(session, speaking, 1)
    long_ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, claims.SILENT_S + 1)
    session.execute(update(WorkerProcess).where(WorkerProcess.id == silent).values(seen_at=long_ago))
    me = _worker(session)
    assert claims.free_dead(session, me, "here", lambda _: False) == [1]
    assert _claim(session, me, 2).image_ids == ids[:1]
    assert not claims.heartbeat(session, silent, ids)
    assert claims.heartbeat(session, speaking, ids)


def test_a_claim_nobody_holds_runs_out(session: Session) -> None:
    """Claimed, but the answer never came: the heartbeat extends only what is in hand."""
    ids = _waiting(session, 2)
    worker = _worker(session)
    _claim(session, worker, 2)
    session.execute(update(Work).values(claimed_until=func.now()))
    session.commit()
    claims.heartbeat(session, worker, ids[:1])
    session.commit()
    assert _claim(session, worker, 2).image_ids == ids[1:]


def test_who_leaves_in_good_order_blames_nobody(session: Session) -> None:
    """Nothing is halved."""
    ids = _waiting(session, 4)
    worker = _worker(session)
    _claim(session, worker, 4)
    claims.leave(session, worker)
    assert _claim(session, _worker(session), 4) == work.Claim(ids, None)


def test_many_workers_at_once_share_without_overlap(sessions: sessionmaker[Session]) -> None:
    """Four threads, one queue: every image once."""
    with sessions.begin() as session:
        ids = _waiting(session, 200)
        workers = [_worker(session, pid) for pid in range(4)]

    def drain(worker: int) -> list[int]:
        mine: list[int] = []
        while True:
            with sessions.begin() as session:
                claim = _claim(session, worker, 7).image_ids
            if not claim:
                return mine
            mine += claim

    with ThreadPoolExecutor(4) as threads:
        parts = list(threads.map(drain, workers))
    assert sorted(image_id for part in parts for image_id in part) == ids


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_happens_every_image_is_done_or_named(session: Session, data: st.DataObject) -> None:
    """Claims, releases, deaths and failures in any order: nothing is lost, nothing is held by two."""
    session.rollback()  # what the example before has left
    ids = set(_waiting(session, data.draw(st.integers(1, 20))))
    done: set[int] = set()
    alive = {pid: _worker(session, pid) for pid in range(1, 4)}
    held: dict[int, list[work.Claim]] = {pid: [] for pid in alive}
    for _ in range(data.draw(st.integers(0, 30))):
        pid = data.draw(st.sampled_from(sorted(alive)))
        match data.draw(st.sampled_from(["claim", "finish", "release", "fail", "die"])):
            case "claim":
                claim = _claim(session, alive[pid], data.draw(st.integers(1, 8)))
                assert not any(set(claim.image_ids) & set(c.image_ids) for cs in held.values() for c in cs)
                held[pid].append(claim)
            case "finish" if held[pid]:
                claim = held[pid].pop()
                assert work.finish(session, claim.image_ids, alive[pid]) == set(claim.image_ids)
                done |= set(claim.image_ids)
            case "release" if held[pid]:
                work.release(session, held[pid].pop(), alive[pid])
            case "fail" if held[pid]:
                claim = held[pid].pop()
                for image_id in claim.image_ids:
                    work.put_off(session, image_id, alive[pid], "models_failed", "no", 0)
            case "die":
                claims.free_dead(session, 0, "here", lambda other, pid=pid: other != pid)
                held[pid], alive[pid] = [], _worker(session, pid)
    dead = set(session.scalars(select(Image.id).where(Image.state == "dead", Image.id.in_(ids))))
    left = set(session.scalars(select(Work.image_id)))
    assert done | dead | left == ids
    assert not (done | dead) & left
