"""Worker processes as they are run, and what befalls them."""

import signal
import time

import pytest
from redis import Redis
from sqlalchemy import func, select

from indexer.tables import Caption, Image, ImageEmbedding, Work, WorkerProcess
from tests.workers.conftest import Crew

pytestmark = pytest.mark.timeout(300)


def test_two_workers_share_a_queue_and_nobody_tells_them(crew: Crew) -> None:
    """Every image once: one caption, one embedding each; no message was ever sent."""
    ids = crew.add(40)
    crew.start(batch_size=4)
    crew.start(batch_size=4)
    crew.until(lambda: crew.finished(ids), 120)
    assert set(crew.states(ids).values()) == {"indexed"}
    with crew.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Caption)) == 40
        assert session.scalar(select(func.count()).select_from(ImageEmbedding)) == 40
        assert session.scalar(select(func.count()).select_from(WorkerProcess)) == 2
        assert session.scalars(select(Work.image_id)).all() == []
    assert "another worker's by now" not in crew.log


def test_an_image_that_kills_its_worker_is_found_and_the_others_are_done(crew: Crew) -> None:
    """Whoever keeps the worker starts it again and again; a few deaths later the image is named."""
    ids = crew.add(12, red=[5])

    def keep() -> None:
        if not crew.workers or crew.workers[-1].poll() is not None:
            crew.start("kill", batch_size=4)

    crew.until(lambda: crew.finished(ids), 240, keep)
    states = crew.states(ids)
    assert states.pop(ids[5]) == "dead"
    assert set(states.values()) == {"indexed"}
    with crew.sessions() as session:
        assert session.scalars(select(Image.error_code).where(Image.id == ids[5])).one() == "worker_died"
    assert len(crew.workers) <= 6


def test_a_batch_that_hangs_ends_its_worker(crew: Crew) -> None:
    """The watchdog's way out; with the next workers the image is found like one that kills."""
    ids = crew.add(2, red=[0])

    def keep() -> None:
        if not crew.workers or crew.workers[-1].poll() is not None:
            crew.start("hang", batch_size=1, batch_timeout_s=2)

    crew.until(lambda: crew.finished(ids), 240, keep)
    assert crew.states(ids) == {ids[0]: "dead", ids[1]: "indexed"}
    assert {worker.poll() for worker in crew.workers[:-1]} == {70}


def test_without_memory_batches_shrink_and_all_is_done(crew: Crew) -> None:
    """No image is to blame; what did not fit once is not tried again."""
    ids = crew.add(24)
    crew.start("out_of_memory", batch_size=8)
    crew.until(lambda: crew.finished(ids), 120)
    assert set(crew.states(ids).values()) == {"indexed"}
    assert "the models failed on 8 images" in crew.log
    assert crew.log.count("the models failed on 8 images") <= 4  # one for each slot


def test_sigterm_finishes_what_is_at_hand(crew: Crew) -> None:
    """What was claimed is done or free, nobody is blamed, the process ends in good order."""
    ids = crew.add(60)
    worker = crew.start(batch_size=4)
    crew.until(lambda: "indexed" in crew.states(ids).values(), 120)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    with crew.sessions() as session:
        left = session.execute(select(Work.claimed_by, Work.batch_limit, Work.attempts)).all()
        assert session.scalars(select(WorkerProcess.id)).all() == []
    assert 0 < len(left) < 60
    assert set(left) == {(None, None, 0)}
    crew.start()
    crew.until(lambda: crew.finished(ids), 120)
    assert set(crew.states(ids).values()) == {"indexed"}


def test_work_survives_the_loss_of_everything_in_redis(crew: Crew) -> None:
    """Messages are gone, images are not."""
    ids = crew.add(20)
    crew.queue.wake()
    Redis.from_url(crew.queue.url.replace("redis+socket://", "unix://")).flushall()
    crew.start()
    crew.until(lambda: crew.finished(ids), 120)
    assert set(crew.states(ids).values()) == {"indexed"}


def test_without_redis_work_goes_on_and_the_worker_can_be_stopped(crew: Crew) -> None:
    """From the very start: nothing of the queue is in Redis."""
    ids = crew.add(4)
    worker = crew.start(redis_url="redis://127.0.0.1:9/0")
    crew.until(lambda: crew.finished(ids), 120)
    assert set(crew.states(ids).values()) == {"indexed"}
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    with crew.sessions() as session:
        assert session.scalars(select(WorkerProcess.id)).all() == []


def test_a_message_wakes_at_once(crew: Crew) -> None:
    """An upload is searchable in about a second, though bulk work waits."""
    crew.add(1)
    crew.start(batch_size=4)
    crew.until(lambda: "indexed" in _all_states(crew), 120)
    crew.add(100)
    crew.queue.wake()
    time.sleep(0.5)
    [upload] = crew.add(1, priority=0)
    started = time.monotonic()
    crew.queue.wake()
    crew.until(lambda: crew.finished([upload]), 20)
    assert time.monotonic() - started < 5  # a second on an idle machine
    assert "pending" in _all_states(crew)


def test_models_let_go_come_back_when_needed(crew: Crew) -> None:
    """A worker idle for long gives its memory back and is none the worse for it."""
    first = crew.add(1)
    worker = crew.start(unload_after_s=1)
    crew.until(lambda: crew.finished(first), 120)
    crew.until(lambda: "the models are let go" in crew.log, 30)
    second = crew.add(2)
    crew.until(lambda: crew.finished(second), 60)
    assert worker.poll() is None


def _all_states(crew: Crew) -> set[str]:
    with crew.sessions() as session:
        return set(session.scalars(select(Image.state)))
