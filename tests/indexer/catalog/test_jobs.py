"""Progress of a job is read from its images."""

from sqlalchemy.orm import Session

from indexer.catalog import annotations, images, jobs, work
from tests.catalogue import add_indexed, annotation, annotators, new_file


def test_progress_counts_each_state(session: Session) -> None:
    """Inputs refused at the door, images refused later and those given up all count as failed."""
    job_id = jobs.create(session, "index")
    done = add_indexed(session)
    waiting, halfway, bad = (r.image_id for r in images.register(session, [new_file() for _ in range(3)]))
    annotations.save(session, [annotation(halfway)], annotators(session))
    images.fail(session, bad, "broken", "no picture in it")
    items = [
        jobs.NewItem(f"file:///{i}", image_id) for i, image_id in enumerate([done, waiting, halfway, bad])
    ]
    jobs.add_items(session, job_id, [*items, jobs.NewItem("file:///big", None, "too_large", "too big")])
    progress = jobs.progress(session, job_id)
    assert progress is not None
    assert (progress.total, progress.indexed, progress.pending, progress.failed) == (5, 1, 2, 2)
    assert not progress.done
    assert [(f.uri, f.code) for f in jobs.failures(session, job_id)] == [
        ("file:///3", "broken"),
        ("file:///big", "too_large"),
    ]
    assert jobs.indexed_images(session, job_id) == [done]


def test_what_is_given_up_is_named_and_what_is_still_to_be_fetched_is_waited_for(session: Session) -> None:
    """A dead image is a failure with its reason; an input without an image or an error is on its way."""
    job_id = jobs.create(session, "index")
    dead = images.register(session, [new_file()])[0].image_id
    for _ in range(work.ATTEMPTS):
        work.put_off(session, dead, None, "models_failed", "they failed", 0)
    jobs.add_items(session, job_id, [jobs.NewItem("file:///0", dead), jobs.NewItem("https://a/b.jpg")])
    progress = jobs.progress(session, job_id)
    assert progress is not None
    assert (progress.total, progress.pending, progress.failed) == (2, 1, 1)
    [failure] = jobs.failures(session, job_id)
    assert (failure.code, failure.message) == ("models_failed", "they failed")


def test_an_empty_job_is_done(session: Session) -> None:
    """Nothing to wait for."""
    progress = jobs.progress(session, jobs.create(session, "index"))
    assert progress is not None
    assert progress.done
    assert jobs.progress(session, 12345) is None


def test_stage_seconds_add_up(session: Session) -> None:
    """Several workers report to one job; a job that is gone is no error."""
    job_id = jobs.create(session, "index")
    jobs.add_stage_seconds(session, {job_id: {"tag": 1.0, "read": 0.5}})
    jobs.add_stage_seconds(session, {job_id: {"tag": 2.0}, 999: {"tag": 2.0}})
    progress = jobs.progress(session, job_id)
    assert progress is not None
    assert progress.stage_seconds == {"tag": 3.0, "read": 0.5}
