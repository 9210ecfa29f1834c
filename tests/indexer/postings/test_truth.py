"""Whatever is written, by whomever and in whatever order: what is kept is what a plain reading of all rows gives."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from indexer.catalog import annotations, collections, corrections, edits, images, statements
from indexer.postings import FIELDS, Completion, Postings, View
from indexer.query import (
    EVERYTHING,
    All,
    Any,
    Between,
    Has,
    Leaf,
    Node,
    Not,
    OneOf,
    Order,
    Rejected,
    TagIs,
    map_leaves,
)
from indexer.tables import Collection, CollectionImage, Edit, Image
from tests import catalogue
from tests.indexer.postings import brute_force
from tests.indexer.postings.brute_force import Facts
from tests.indexer.postings.conftest import TAGS

Sessions = sessionmaker[Session]
YEARS = (2019, 2023, 2024)
FORMATS = ("jpeg", "png", "heic")
ALBUMS = ("holiday", "work")
TITLES = (None, "Red bag", "Bag, red", "red")
WRITES = 12
SIZES = (0, 700, 1024, 1280, 5000, 5000, 3_000_000)


class Writer:
    """Writes at random, each time in a transaction of its own; sometimes one stays open through the next writes."""

    def __init__(self, sessions: Sessions, seed: int) -> None:
        self.sessions, self.random = sessions, random.Random(seed)
        self.late: Session | None = None

    def write(self) -> None:
        """One write. What would wait for a transaction that is still open is given up."""
        if self.random.random() < 0.2:
            self.commit_late()
        session = self.sessions()
        try:
            session.execute(text("SET LOCAL lock_timeout = '50ms'"))
            self.random.choice(self.choices())(session)
        except OperationalError:
            session.rollback()
        if self.late is None and self.random.random() < 0.3:
            self.late = session
            return
        session.commit()
        session.close()

    def commit_late(self) -> None:
        """End the transaction left open."""
        if self.late is not None:
            self.late.commit()
            self.late.close()
        self.late = None

    def choices(self) -> list[Callable[[Session], object]]:
        """Every way to write, the likelier the more often."""
        common = [self.add, self.edit, self.edit, self.annotate_again, self.collect]
        return [
            *common,
            self.undo,
            self.remove,
            self.move,
            self.caption,
            self.retitle,
            self.resize,
            self.uncollect,
            self.rename,
        ]

    def image(self, session: Session) -> int:
        """The id of some image; 0 if there is none."""
        ids = session.scalars(select(Image.id).order_by(Image.id)).all()
        return self.random.choice(ids) if ids else 0

    def add(self, session: Session) -> None:
        """A new image, through the whole pipeline."""
        catalogue.add_indexed(session, self.some_tags(), **self.facts())
        session.execute(update(Image).where(Image.bytes == 100).values(bytes=self.random.choice(SIZES)))

    def some_tags(self) -> dict[str, float]:
        """Tags as a model would say them."""
        names = self.random.sample(TAGS, self.random.randrange(4))
        return {name: self.random.choice((0.25, 0.5, 0.75)) for name in names}

    def facts(self) -> dict[str, object]:
        """What the file says."""
        year = self.random.choice((None, *YEARS))
        return {
            "format": self.random.choice(FORMATS),
            "taken_at": year and datetime(year, self.random.choice((1, 12)), self.random.choice((1, 31)), 12),
            "keywords": self.random.sample(TAGS, self.random.randrange(2)),
            "title": self.random.choice(TITLES),
        }

    def annotate_again(self, session: Session) -> None:
        """The models look again."""
        item = catalogue.annotation(self.image(session), self.some_tags(), **self.facts())
        annotations.save(session, [item], catalogue.annotators(session))

    def edit(self, session: Session) -> None:
        """A person says something of a tag of a few images."""
        wish = {self.random.choice(("add", "reject", "clear")): [self.random.choice(TAGS)]}
        edits.make(session, sorted({self.image(session) for _ in range(3)}), edits.Wish(**wish))

    def undo(self, session: Session) -> None:
        """The newest edit is taken back."""
        newest = session.scalar(select(Edit.id).order_by(Edit.id.desc()).limit(1))
        if newest is not None:
            edits.undo(session, newest)

    def remove(self, session: Session) -> None:
        """An image is deleted."""
        images.remove(session, [self.image(session)])

    def move(self, session: Session) -> None:
        """An image goes back, or arrives."""
        image_id = self.image(session)
        if self.random.random() < 0.5:
            images.reset(session, [image_id], self.random.choice(("pending", "annotated")))
        catalogue.mark_indexed(session, image_id)

    def caption(self, session: Session) -> None:
        """A person describes an image."""
        if image_id := self.image(session):
            embedder = catalogue.annotators(session).embedder
            corrections.write_caption(session, image_id, "mine", embedder, catalogue.embedding(1))

    def retitle(self, session: Session) -> None:
        """A person calls an image something."""
        statements.say(session, {self.image(session): statements.Said(title=self.random.choice(TITLES))})

    def resize(self, session: Session) -> None:
        """Another size in bytes."""
        chosen = Image.id == self.image(session)
        session.execute(update(Image).where(chosen).values(bytes=self.random.choice(SIZES)))

    def collect(self, session: Session) -> None:
        """An image is put into an album."""
        if image_id := self.image(session):
            row = {
                "collection_id": collections.ensure(session, self.random.choice(ALBUMS)),
                "image_id": image_id,
            }
            known = select(CollectionImage.image_id).filter_by(**row)
            if session.scalar(known) is None:
                session.execute(insert(CollectionImage).values(row))

    def uncollect(self, session: Session) -> None:
        """An album is deleted."""
        session.execute(delete(Collection).where(Collection.name == self.random.choice(ALBUMS)))

    def rename(self, session: Session) -> None:
        """The albums change names."""
        for before, after in ((ALBUMS[0], "?"), (ALBUMS[1], ALBUMS[0]), ("?", ALBUMS[1])):
            session.execute(update(Collection).where(Collection.name == before).values(name=after))


def _in_year(year: int) -> Between:
    return Between("taken", datetime(year, 1, 1), datetime(year + 1, 1, 1), high_open=True)


# Conditions of every kind; tags still without their ids.
CONFIDENCES = st.sampled_from((None, 0.3, 0.6))
LEAVES = st.one_of(
    st.builds(TagIs, st.sampled_from(TAGS)),
    st.builds(
        TagIs,
        st.sampled_from(TAGS),
        min_confidence=CONFIDENCES,
        by=st.sampled_from((None, "human", "model", "file")),
    ),
    st.builds(TagIs, st.sampled_from(TAGS), max_confidence=CONFIDENCES),
    st.sampled_from(TAGS).map(Rejected),
    st.sampled_from(YEARS).map(_in_year),
    st.builds(
        Between, st.just("size"), st.sampled_from(SIZES), st.sampled_from((None, *SIZES)), st.booleans()
    ),
    st.builds(OneOf, st.just("format"), st.sets(st.sampled_from(FORMATS), min_size=1).map(tuple)),
    st.builds(OneOf, st.just("source"), st.sampled_from((("human",), ("model", "file"), ("file",)))),
    st.builds(OneOf, st.just("collection"), st.sampled_from(ALBUMS).map(lambda name: (name,))),
    st.builds(OneOf, st.just("title"), st.sampled_from((("red bag",), ("RED",), ("red", "bag")))),
    st.builds(Has, st.sampled_from(("collection", "caption"))),
)
CONJUNCTS = st.lists(st.one_of(LEAVES, LEAVES.map(Not)), max_size=3, unique=True)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: Any(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=6,
)
ORDERS = [Order(key, falling) for key in ("added", "taken", "size") for falling in (True, False)]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 2**32),
    st.lists(TREES, min_size=3, max_size=3),
    CONJUNCTS,
    st.sampled_from((None, 2, 3)),
)
def test_kept_is_true(
    sessions: Sessions,
    postings: Postings,
    tag_ids: dict[str, int],
    seed: int,
    trees: list[Node],
    parts: list[Node],
    divisor: int | None,
) -> None:
    """After random writes, some of them committed late: filters, facets, pages, counts and confidences.

    The catalogue and what is kept of it live on from example to example.
    """
    known = partial(_with_ids, tag_ids)
    trees, parts = [map_leaves(tree, known) for tree in trees], [map_leaves(part, known) for part in parts]
    with sessions() as session:
        postings.load(session)  # everything is kept, and has to be corrected
    writer = Writer(sessions, seed)
    for _ in range(2):
        for _ in range(WRITES):
            writer.write()
        with sessions() as session:
            view, truth = postings.view(session), brute_force.read(session)
            _check_filters(view, truth, [EVERYTHING, *trees])
            _check_facets(view, truth, parts, divisor)
            _check_facets(Postings().view(session), truth, parts, divisor)
            _check_pages(view, truth)
            _check_tags(view, truth, tag_ids)
    writer.commit_late()


def _with_ids(tag_ids: dict[str, int], leaf: Leaf) -> Leaf:
    return replace(leaf, tag_id=tag_ids[leaf.name]) if isinstance(leaf, TagIs | Rejected) else leaf


def _check_filters(view: View, truth: list[Facts], trees: list[Node]) -> None:
    for tree in trees:
        assert set(view.matching(tree)) == brute_force.matching(truth, tree), tree


def _check_facets(view: View, truth: list[Facts], parts: list[Node], divisor: int | None) -> None:
    among = None if divisor is None else {image.id for image in truth if image.id % divisor == 0}
    for limit in (2, 20):
        counted = view.facets(All(tuple(parts)), None if among is None else BitMap(among), FIELDS, limit)
        for field in FIELDS:
            expected = brute_force.facet(truth, parts, among, field, limit)
            assert counted[field] == expected, (field, parts)


def _check_pages(view: View, truth: list[Facts]) -> None:
    searchable = [image for image in truth if image.state == "indexed"]
    for order in ORDERS:
        expected = brute_force.in_order(searchable, order)
        ids, after = view.page(view.searchable, order, 3)
        while after is not None:
            # As it arrives with a cursor.
            more, after = view.page(view.searchable, order, 3, json.loads(json.dumps(after)))
            ids += more
        assert ids == expected, order


def _check_tags(view: View, truth: list[Facts], tag_ids: dict[str, int]) -> None:
    for name, tag_id in tag_ids.items():
        surely = brute_force.confidences(truth, name)
        ids, confidences = view.tag_confidences(tag_id)
        assert dict(zip(ids.tolist(), confidences.tolist(), strict=True)) == surely
        assert ids.tolist() == sorted(surely)
        assert view.complete(name, 1) == [Completion(name, len(surely))]
