"""What a person says of tags, of many images at once, and taking it back.

Only the person's own statements are written; what models and files say stays beside them. Every statement
belongs to an edit, which remembers what the person had said before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import TypeVar

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Exists,
    Integer,
    cast,
    delete,
    exists,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.selectable import TableValuedAlias

from indexer.catalog import images
from indexer.catalog import tags as tag_catalog
from indexer.catalog.annotations import annotator_id
from indexer.catalog.corrections import PERSON
from indexer.errors import NotFound, QueryError
from indexer.tables import Edit, EditItem, ImageTag, Tag
from indexer.vocabulary import BETWEEN_TAGS, canonical

# What a person says of a tag: shown, rejected, or nothing.
Statement = bool | None
Key = TypeVar("Key", Statement, tuple[Statement, Statement])
DID: Mapping[Statement, str] = {True: "added", False: "rejected", None: "cleared"}


@dataclass(frozen=True)
class Wish:
    """What to say: tags shown, tags rejected, tags on which to say nothing any more.

    `remove` rejects a tag where somebody asserts it and leaves other images alone; `reject` does so everywhere.
    """

    add: Sequence[str] = ()
    remove: Sequence[str] = ()
    reject: Sequence[str] = ()
    clear: Sequence[str] = ()

    def check(self) -> None:
        """Raises QueryError: no tag is named, one has no name, or one is named twice."""
        names = [canonical(name) for name in (*self.add, *self.remove, *self.reject, *self.clear)]
        if not names:
            raise QueryError("Say which tags to add, remove or clear.")
        if "" in names:
            raise QueryError("A tag needs a name.")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise QueryError(f"{twice[0]!r} is named twice: say one thing of each tag.")


@dataclass(frozen=True)
class Change:
    """One statement that changed."""

    image_id: int
    tag_id: int
    before: Statement
    after: Statement


@dataclass(frozen=True)
class Made:
    """What an edit did; `edit_id` is None when nothing was to be changed.

    `changed` has the names of the tags changed by image; `missing` are ids that name no image.
    """

    edit_id: int | None
    changed: Mapping[int, tuple[str, ...]]
    missing: tuple[int, ...]


@dataclass(frozen=True)
class Undone:
    """What taking back did: statements restored, and left alone because the person spoke of them again since."""

    restored: int
    left: int


@dataclass(frozen=True)
class EditView:
    """One edit: when it was made and taken back, the tags it changed, on how many images, and which of them it added,
    rejected or took one's word back on; of an edit of before this was kept, none.
    """

    id: int
    created_at: datetime
    undone_at: datetime | None
    images: int
    tags: tuple[str, ...]
    added: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()


def make(session: Session, image_ids: Sequence[int], wish: Wish) -> Made:
    """Say of these images what `wish` says, as one edit.

    A tag added may be new; the others must exist.

    Raises:
        QueryError: no tag is named, one has no name, one is named twice, or a new one could not be told from several;
            UnknownTag if it does not exist.
    """
    wish.check()
    alive = images.lock(session, image_ids)
    ids = _tag_ids(session, wish)
    changes = _changes(session, alive, wish, ids)
    missing = tuple(sorted(set(image_ids) - set(alive)))
    if not changes:
        return Made(None, {}, missing)
    edit_id = session.scalar(insert(Edit).values().returning(Edit.id))
    assert edit_id is not None
    _record(session, edit_id, changes)
    _write(session, changes)
    spelt = dict(session.execute(select(Tag.id, Tag.name).where(Tag.id.in_(ids.values()))).all())
    changed: dict[int, tuple[str, ...]] = {}
    for change in changes:
        changed[change.image_id] = (*changed.get(change.image_id, ()), spelt[change.tag_id])
    return Made(edit_id, changed, missing)


def undo(session: Session, edit_id: int) -> Undone:
    """Restore what the person had said before an edit; doing it again changes nothing.

    A statement that a later edit changed too is left as it is: the later word counts.

    Raises:
        NotFound: there is no such edit.
    """
    edit = session.get(Edit, edit_id, with_for_update=True)
    if edit is None:
        raise NotFound(f"There is no edit {edit_id}; `GET /v1/edits` lists the newest.")
    if edit.undone_at is not None:
        return Undone(0, 0)
    items = session.execute(
        select(EditItem.image_id, EditItem.tag_id, EditItem.shown_before, _spoken_since(edit_id))
        .where(EditItem.edit_id == edit_id)
        .order_by(EditItem.image_id, EditItem.tag_id)
    ).all()
    images.lock(session, sorted({row.image_id for row in items}))
    restored = [Change(i, t, None, before) for i, t, before, later in items if not later]
    _write(session, restored)
    session.execute(update(Edit).where(Edit.id == edit_id).values(undone_at=func.now()))
    return Undone(len(restored), len(items) - len(restored))


def find(session: Session, edit_id: int) -> EditView:
    """One edit. Raises NotFound."""
    found = _views(session, [edit_id])
    if not found:
        raise NotFound(f"There is no edit {edit_id}; `GET /v1/edits` lists the newest.")
    return found[0]


def recent(session: Session, limit: int, before: int | None = None) -> list[EditView]:
    """The newest edits, newest first; of those made before the edit `before`, if it is given."""
    newest = select(Edit.id).order_by(Edit.id.desc()).limit(limit)
    if before is not None:
        newest = newest.where(Edit.id < before)
    return _views(session, session.scalars(newest).all())


def _views(session: Session, edit_ids: Sequence[int]) -> list[EditView]:
    names = func.array_agg(Tag.name.distinct())
    rows = session.execute(
        select(Edit.id, Edit.created_at, Edit.undone_at, func.count(EditItem.image_id.distinct()))
        .add_columns(names, *(names.filter(EditItem.did == did) for did in DID.values()))
        .outerjoin(EditItem, EditItem.edit_id == Edit.id)
        .outerjoin(Tag, Tag.id == EditItem.tag_id)
        .where(Edit.id.in_(edit_ids))
        .group_by(Edit.id)
        .order_by(Edit.id.desc())
    )
    # The items of images deleted since are gone: an edit may have none left.
    return [EditView(*row[:4], *(tuple(n for n in told or () if n) for told in row[4:])) for row in rows]


def _tag_ids(session: Session, wish: Wish) -> dict[str, int]:
    """Tag ids by the name given; an alias leads to its tag."""
    ids = tag_catalog.resolve(session, [*wish.remove, *wish.reject, *wish.clear])
    ids |= tag_catalog.find(session, wish.add)
    new = [name for name in wish.add if name not in ids]
    _check_new(new)
    ids |= tag_catalog.ensure(session, new)
    if len(set(ids.values())) < len(ids):
        raise QueryError(f"Two of these are one tag: {', '.join(sorted(ids))}. Say one thing of each tag.")
    return ids


def _check_new(names: Sequence[str]) -> None:
    """A name that tables would cut apart is no name of one tag, except where one is called so already."""
    for name in names:
        if any(sign in name for sign in BETWEEN_TAGS):
            raise QueryError(f"{name!r} reads as several tags, as in tables: write two tags, each by itself.")


def _changes(session: Session, image_ids: Sequence[int], wish: Wish, ids: Mapping[str, int]) -> list[Change]:
    me = annotator_id(session, "person", PERSON)
    tag_ids = sorted(set(ids.values()))
    said = select(ImageTag.image_id, ImageTag.tag_id, ImageTag.rejected).where(
        ImageTag.annotator_id == me, ImageTag.image_id.in_(image_ids), ImageTag.tag_id.in_(tag_ids)
    )
    before = {(image_id, tag_id): not rejected for image_id, tag_id, rejected in session.execute(said)}
    showing = tag_catalog.asserted().where(ImageTag.image_id.in_(image_ids), ImageTag.tag_id.in_(tag_ids))
    shown = {(image_id, tag_id) for image_id, tag_id, _ in session.execute(showing)}
    changes = []
    for image_id in image_ids:
        for tag_id, after, everywhere in _targets(wish, ids):
            said_before = before.get((image_id, tag_id))
            if said_before is not after and (everywhere or (image_id, tag_id) in shown):
                changes.append(Change(image_id, tag_id, said_before, after))
    return changes


def _targets(wish: Wish, ids: Mapping[str, int]) -> Iterable[tuple[int, Statement, bool]]:
    """Tag id, what to say of it, and whether also of images nobody says it of."""
    meant: tuple[tuple[Sequence[str], Statement, bool], ...] = (
        (wish.add, True, True),
        (wish.remove, False, False),
        (wish.reject, False, True),
        (wish.clear, None, True),
    )
    return [(ids[name], after, everywhere) for names, after, everywhere in meant for name in names]


def _record(session: Session, edit_id: int, changes: Sequence[Change]) -> None:
    for (before, after), pairs in _grouped(((change.before, change.after), change) for change in changes):
        facts = (literal(before, EditItem.shown_before.type), literal(DID[after]))
        rows = select(literal(edit_id), pairs.c.image_id, pairs.c.tag_id, *facts)
        columns = ["edit_id", "image_id", "tag_id", "shown_before", "did"]
        session.execute(insert(EditItem).from_select(columns, rows))


def _write(session: Session, changes: Sequence[Change]) -> None:
    """Say what each change says, in one statement for each of the three things one can say."""
    me = annotator_id(session, "person", PERSON)
    for after, pairs in _grouped((change.after, change) for change in changes):
        if after is None:
            named = tuple_(ImageTag.image_id, ImageTag.tag_id).in_(select(pairs.c.image_id, pairs.c.tag_id))
            session.execute(delete(ImageTag).where(ImageTag.annotator_id == me, named))
            continue
        facts = (literal(me), literal(1.0 if after else 0.0), literal(not after))
        rows = select(pairs.c.image_id, pairs.c.tag_id, *facts)
        columns = ["image_id", "tag_id", "annotator_id", "confidence", "rejected"]
        statement = insert(ImageTag).from_select(columns, rows)
        changed = {key: statement.excluded[key] for key in ("confidence", "rejected")}
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["image_id", "tag_id", "annotator_id"], set_=changed
            )
        )


def _grouped(keyed: Iterable[tuple[Key, Change]]) -> Iterable[tuple[Key, TableValuedAlias]]:
    """Changes by what is given with them, each group as a relation (image_id, tag_id) sent as two arrays."""
    ordered = sorted(keyed, key=lambda pair: str(pair[0]))
    for said, group in groupby(ordered, key=lambda pair: pair[0]):
        changes = [change for _, change in group]
        image_ids = cast([change.image_id for change in changes], ARRAY(BigInteger))
        tag_ids = cast([change.tag_id for change in changes], ARRAY(Integer))
        yield said, func.unnest(image_ids, tag_ids).table_valued("image_id", "tag_id").render_derived()


def _spoken_since(edit_id: int) -> Exists:
    """Whether a later edit, not taken back, changed the same statement."""
    later, later_item = aliased(Edit), aliased(EditItem)
    return exists(
        select(later.id)
        .join(later_item, later_item.edit_id == later.id)
        .where(
            later.id > edit_id,
            later.undone_at.is_(None),
            later_item.image_id == EditItem.image_id,
            later_item.tag_id == EditItem.tag_id,
        )
    )
