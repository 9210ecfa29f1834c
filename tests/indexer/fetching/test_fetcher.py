"""What waits to be fetched becomes images, or is refused with its reason."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import claims, fetches, hits, images, jobs
from indexer.catalog import tags as tag_catalog
from indexer.catalog.statements import Said
from indexer.errors import ConfigurationError, NotFetched, ServiceUnavailable
from indexer.fetching import Fetcher
from indexer.images import content_hash
from indexer.storage import Storage
from indexer.tables import Fetch, Work
from tests.hostile_server import OUTSIDE, HostileServer, picture
from tests.indexer.fetching.conftest import Fetching

Sessions = sessionmaker[Session]
Make = Callable[..., Fetcher]


@pytest.fixture
def make(sessions: Sessions, tmp_path: Path) -> Make:
    """Makes fetchers, each a worker of its own."""

    def made(bring: Callable[[str], bytes], **changes: object) -> Fetcher:
        with sessions.begin() as session:
            worker_id = claims.register_worker(session, "here", os.getpid())
        parts = {
            "sessions": sessions,
            "worker_id": lambda: worker_id,
            "bring": bring,
            "storage": Storage(str(tmp_path / "store")),
            "wake": lambda: None,
            "remove": lambda ids: None,
        }
        return Fetcher(**{**parts, **changes})  # type: ignore[arg-type]

    return made


def wanted(sessions: Sessions, *urls: str, said: Said | None = None) -> int:
    """A job whose items are these addresses; its id."""
    with sessions.begin() as session:
        job_id = jobs.create(session, "urls")
        jobs.add_items(session, job_id, [jobs.NewItem(url) for url in urls])
        fetches.add(session, job_id, [fetches.NewFetch(i, url, said or Said()) for i, url in enumerate(urls)])
    return job_id


def test_from_address_to_image(
    sessions: Sessions, make: Make, server: HostileServer, fetching: Fetching
) -> None:
    """By real http: registered with all that was said, stored, and queued to be looked at."""
    with sessions.begin() as session:
        tag_catalog.ensure(session, ["coat"])
    said = Said("A-1", "Red dress", "a red dress", ("dress",), "Summer", ("coat",))
    job_id = wanted(sessions, server.url("/picture", "shop.example"), said=said)
    woken: list[None] = []
    fetcher = make(fetching({"shop.example": [OUTSIDE]}), wake=lambda: woken.append(None))
    assert fetcher.step()
    assert not fetcher.step()
    with sessions() as session:
        progress = jobs.progress(session, job_id)
        assert progress is not None
        assert (progress.total, progress.pending, progress.failed) == (1, 1, 0)
        (image_id,) = session.scalars(select(Work.image_id))
        (view,) = hits.load(session, [image_id])
        assert (view.sources[0].kind, view.sources[0].external_id) == ("url", "A-1")
        assert view.captions[0].text == "a red dress"
        assert {(tag.name, tag.rejected) for tag in view.tags} == {("dress", False), ("coat", True)}
        assert fetches.waiting(session) == 0
    assert fetcher.storage.get_original(content_hash(picture())) == picture()
    assert len(woken) == 1


def test_refusals_are_told_by_the_job(
    sessions: Sessions, make: Make, server: HostileServer, fetching: Fetching
) -> None:
    """Each with its code and reason, in the order of the inputs; one costs no other."""
    urls = [server.url(path) for path in ("/page", "/status/404", "/picture")]
    urls.append("http://127.0.0.2/metadata")
    job_id = wanted(sessions, *urls)
    fetcher = make(fetching())
    while fetcher.step():
        pass
    with sessions() as session:
        failed = jobs.failures(session, job_id)
        progress = jobs.progress(session, job_id)
    assert [failure.code for failure in failed] == ["unsupported_format", "not_fetched", "address_refused"]
    assert "404" in failed[1].message
    assert progress is not None
    assert (progress.failed, progress.pending) == (3, 1)


def test_what_may_heal_is_tried_again(
    sessions: Sessions, make: Make, server: HostileServer, fetching: Fetching
) -> None:
    """Not at once; and not for ever: after eight attempts it is refused with the last reason."""
    server.statuses["/busy"] = [503, 429]
    server.files["/busy"] = picture(90)
    job_id = wanted(sessions, server.url("/busy"))
    fetcher = make(fetching())
    waits = []
    while fetcher.step():
        with sessions.begin() as session:
            row = session.scalars(select(Fetch)).first()
            if row is not None:
                assert row.not_before is not None
                waits.append((row.not_before - session.scalar(text("SELECT now()"))).total_seconds())
            assert not fetcher.step()
            session.execute(text("UPDATE fetches SET not_before = NULL"))
    assert len(waits) == 2
    assert 0 < waits[0] < 3
    assert 3 < waits[1] < 8  # as the server asked
    job_id = wanted(sessions, "https://down.example/a.jpg")

    def down(_: str) -> bytes:
        raise NotFetched("down.example does not answer.", again=True)

    fetcher = make(down)
    for _ in range(fetches.ATTEMPTS):
        assert fetcher.step()
        with sessions.begin() as session:
            session.execute(text("UPDATE fetches SET not_before = NULL"))
    assert not fetcher.step()
    with sessions() as session:
        assert [f.message for f in jobs.failures(session, job_id)] == ["down.example does not answer."]


def test_a_fetch_that_kills_its_workers(sessions: Sessions, make: Make) -> None:
    """It is given up like any other, and not fetched once more."""
    job_id = wanted(sessions, "https://deadly.example/a.jpg")
    with sessions.begin() as session:
        session.execute(text("UPDATE fetches SET attempts = 8"))
    asked: list[str] = []
    make(lambda url: asked.append(url) or b"").step()
    with sessions() as session:
        assert [f.code for f in jobs.failures(session, job_id)] == ["not_fetched"]
    assert asked == []


def test_many_at_once_fetch_each_address_once(sessions: Sessions, make: Make) -> None:
    """Several threads of several workers: nothing twice, nothing left, urgent ones first."""
    asked: list[str] = []

    def bring(url: str) -> bytes:
        asked.append(url)
        return picture(100 + int(url.rpartition("/")[2]))

    wanted(sessions, *(f"https://shop.example/{n}" for n in range(20)))
    fetchers = [make(bring), make(bring)]

    def work(number: int) -> None:
        while fetchers[number % 2].step():
            pass

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert sorted(asked) == sorted(f"https://shop.example/{n}" for n in range(20))


def test_a_store_that_is_away_costs_nothing(sessions: Sessions, make: Make, tmp_path: Path) -> None:
    """The fetch is as it was, free at once, no attempt counted; a driver that is missing is told."""
    job_id = wanted(sessions, "https://shop.example/a.jpg")

    class Away(Storage):
        def put_original(self, content_hash: bytes, data: bytes) -> None:
            raise ServiceUnavailable("storage", "away")

    with pytest.raises(ServiceUnavailable):
        make(lambda _: picture(), storage=Away(str(tmp_path / "away"))).step()
    with sessions() as session:
        assert session.execute(select(Fetch.attempts, Fetch.claimed_by)).all() == [(0, None)]

    def no_driver(_: str) -> bytes:
        raise ConfigurationError("`pip install s3fs`")

    assert make(no_driver).step()
    with sessions() as session:
        assert "s3fs" in jobs.failures(session, job_id)[0].message


def test_an_address_that_shows_another_picture_now(sessions: Sessions, make: Make) -> None:
    """The new one has the address, what people said is carried over, and the old one is taken away."""
    shown = [picture(), picture(90)]
    gone: list[int] = []
    fetcher = make(lambda _: shown.pop(0), remove=gone.extend)
    said = Said(caption="a red dress")
    wanted(sessions, "https://shop.example/a.jpg", said=said)
    fetcher.step()
    wanted(sessions, "https://shop.example/a.jpg")
    fetcher.step()
    with sessions() as session:
        first, second = session.scalars(select(Work.image_id).order_by(Work.image_id))
        (view,) = hits.load(session, [second])
    assert gone == [first]
    assert view.captions[0].text == "a red dress"


def test_what_was_refused_is_looked_at_again(sessions: Sessions, make: Make) -> None:
    """Fetched again, a picture that could not be used then may be used now."""
    fetcher = make(lambda _: picture())
    wanted(sessions, "https://shop.example/a.jpg")
    fetcher.step()
    with sessions.begin() as session:
        (image_id,) = session.scalars(select(Work.image_id))
        images.fail(session, image_id, "broken", "It is broken.")
    wanted(sessions, "https://shop.example/a.jpg")
    fetcher.step()
    with sessions() as session:
        assert session.scalars(select(Work.image_id)).all() == [image_id]
        assert hits.load(session, [image_id])[0].state == "pending"


def test_a_claim_lost_meanwhile(sessions: Sessions, make: Make) -> None:
    """Whoever has it now decides: nothing is recorded twice."""
    wanted(sessions, "https://shop.example/a.jpg")
    other = make(lambda _: picture())

    def slow(_: str) -> bytes:
        with sessions.begin() as session:
            session.execute(text("UPDATE fetches SET claimed_by = NULL, claimed_until = NULL"))
        assert other.step()
        return picture()

    assert make(slow).step()
    with sessions() as session:
        assert len(session.scalars(select(Work.image_id)).all()) == 1
        assert fetches.waiting(session) == 0
