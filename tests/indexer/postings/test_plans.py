"""The indexes that searches stand on are used: each statement's plan on a catalogue of 8,000 images."""

import uuid
from collections.abc import Iterator

import pytest
from pyroaring import BitMap
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.orm import Session

from benchmarks import tag_library
from indexer import local_stack
from indexer.catalog import changes, conditions, postings
from indexer.postings import Postings
from indexer.query import Order, Rejected, TagIs
from tests.plans import Plans, Step

IMAGES, TAGS, EACH = 8_000, 400, 6
COMMON, RARE = 1, 300


@pytest.fixture(scope="module")
def filled(stack: local_stack.Endpoints, migrated_template: str) -> Iterator[Engine]:
    """A database with a made-up library, vacuumed and analysed."""
    name = f"plans_{uuid.uuid4().hex[:12]}"
    admin = create_engine(stack.postgres_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as live:
        live.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{migrated_template}"'))
    engine = create_engine(make_url(stack.postgres_url).set(database=name))
    tag_library.fill(engine, IMAGES, TAGS, EACH)
    yield engine
    engine.dispose()
    with admin.connect() as live:
        live.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()


@pytest.fixture
def session(filled: Engine) -> Iterator[Session]:
    """A session on the made-up library."""
    with Session(filled) as session:
        yield session


def _index_only(steps: list[Step], index: str) -> bool:
    """Whether rows come from this index and from nowhere else."""
    read = [step for step in steps if step.table]
    return bool(read) and all(step.kind == "Index Only Scan" and step.index == index for step in read)


@pytest.mark.parametrize(
    "leaf",
    [
        TagIs("a", tag_id=RARE),
        TagIs("a", tag_id=RARE, min_confidence=0.5),
        TagIs("a", tag_id=RARE, min_confidence=0.2, max_confidence=0.8),
        Rejected("a", tag_id=COMMON),
    ],
)
def test_one_tag(session: Session, leaf: TagIs | Rejected) -> None:
    """A tag, with or without a range of confidences, or rejected: from the covering index alone."""
    with Plans(session) as plans:
        assert conditions.ids(session, leaf).size
    assert _index_only(plans.steps, "ix_image_tags_tag_id")


def test_confidences(session: Session) -> None:
    """How surely a tag is shown: from the covering index alone."""
    with Plans(session) as plans:
        assert postings.confidences(session, RARE)[0].size
    assert _index_only(plans.steps, "ix_image_tags_tag_id")


def test_some_images_again(session: Session) -> None:
    """What is said of a few images is found by their ids."""
    with Plans(session) as plans:
        session.execute(postings.statement("tag", [3, 5, 8]))
    assert {step.index for step in plans.steps if step.table == "image_tags"} == {"pk_image_tags"}


def test_all_tags(session: Session) -> None:
    """Sets of all tags can be gathered from the covering index alone, whatever a small table is read by."""
    session.execute(text("SET LOCAL enable_seqscan = off"))
    with Plans(session) as plans:
        session.execute(postings.statement("tag"))
    assert _index_only(plans.steps, "ix_image_tags_tag_id")


def test_changes(session: Session) -> None:
    """What has changed: from the index, however many images have ever changed."""
    session.execute(text("INSERT INTO image_changes SELECT id, 3 + id % 500 FROM images"))
    session.commit()
    session.execute(text("ANALYZE image_changes"))
    with Plans(session) as plans:
        changes.look(session, changes.snapshot(session))
    assert "ix_image_changes_changed_by" in {step.index for step in plans.found[1]}
    assert "Seq Scan" not in {step.kind for step in plans.found[1]}


@pytest.mark.parametrize(("key", "index"), [("taken", "ix_images_taken_at"), ("size", "ix_images_bytes")])
@pytest.mark.parametrize("descending", [True, False])
def test_pages_of_everything(session: Session, key: str, index: str, descending: bool) -> None:
    """The first page and the next walk along the index alone, and sort nothing."""
    view = Postings().view(session)
    order = Order(key, descending)  # type: ignore[arg-type]
    view.family("year")
    view.family("size")
    # From the middle on: at either end are groups of a few images, which are looked up.
    after = view.page(view.searchable, order, IMAGES // 2)[1]
    with Plans(session) as plans:
        ids, _ = view.page(view.searchable, order, 50, after)
    assert len(ids) == 50
    assert all(_index_only(steps, index) for steps in plans.found)
    assert "Sort" not in {step.kind for steps in plans.found for step in steps}


def test_a_page_of_few(session: Session) -> None:
    """Ten images are looked up, all at once; no index is walked."""
    view = Postings().view(session)
    chosen = BitMap(list(view.searchable)[::700])
    view.family("year")
    with Plans(session) as plans:
        ids, _ = view.page(chosen, Order("taken"), 50)
    assert set(ids) == set(chosen)
    assert "pk_images" in {step.index for step in plans.steps}
