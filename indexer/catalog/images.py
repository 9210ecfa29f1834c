"""Registration of images and the road from pending to indexed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from indexer.catalog import work
from indexer.errors import ImageUnreadable
from indexer.tables import (
    ANNOTATED,
    DEAD,
    FAILED,
    INDEXED,
    PENDING,
    Annotator,
    Caption,
    Image,
    ImageTag,
    Source,
    Work,
)


@dataclass(frozen=True)
class NewFile:
    """Bytes found somewhere: enough to know the image again."""

    content_hash: bytes
    bytes: int
    kind: str
    uri: str
    modified_ns: int | None = None
    external_id: str | None = None
    title: str | None = None


@dataclass(frozen=True)
class KnownFile:
    """A source seen before, as it was when it was last hashed."""

    image_id: int
    state: str
    bytes: int | None
    modified_ns: int | None
    error_code: str | None
    error_message: str | None


@dataclass(frozen=True)
class Registered:
    """The image a file became, and the image its address named before, if the content changed."""

    image_id: int
    state: str
    replaced: int | None


def known_files(session: Session, kind: str, uris: Sequence[str]) -> dict[str, KnownFile]:
    """What is known of these addresses, by address."""
    wanted = [func.md5(uri) for uri in uris]
    rows = session.execute(
        select(Source.uri, Source.image_id, Image.state, Source.bytes, Source.modified_ns)
        .add_columns(Image.error_code, Image.error_message)
        .join(Image, Image.id == Source.image_id)
        .where(Source.kind == kind, func.md5(Source.uri).in_(wanted))
    )
    return {row.uri: KnownFile(*row[1:]) for row in rows}


def register(
    session: Session, files: Sequence[NewFile], job_id: int | None = None, priority: int = work.BULK
) -> list[Registered]:
    """Make sure each file has an image and a source, and that new images are looked at; twice changes nothing.

    An address whose content changed now names the new image; what people said of the old one is
    carried over, and the old image is reported as `replaced` if no other source names it.
    """
    if not files:
        return []
    ids = _image_ids(session, files)
    pending = [image_id for image_id, state in ids.values() if state == PENDING]
    work.add(session, pending, job_id, priority)
    known = {kind: known_files(session, kind, _uris(files, kind)) for kind in {file.kind for file in files}}
    _save_sources(session, files, {digest: image_id for digest, (image_id, _) in ids.items()})
    registered = []
    for file in files:
        image_id, state = ids[file.content_hash]
        before = known[file.kind].get(file.uri)
        moved = before is not None and before.image_id != image_id
        replaced = _retire(session, before.image_id, image_id) if before is not None and moved else None
        registered.append(Registered(image_id, state, replaced))
    return registered


def _uris(files: Sequence[NewFile], kind: str) -> list[str]:
    return [file.uri for file in files if file.kind == kind]


def _image_ids(session: Session, files: Sequence[NewFile]) -> dict[bytes, tuple[int, str]]:
    sizes = {file.content_hash: file.bytes for file in files}
    rows = [{"content_hash": digest, "bytes": sizes[digest]} for digest in sorted(sizes)]
    session.execute(insert(Image).values(rows).on_conflict_do_nothing(index_elements=["content_hash"]))
    found = session.execute(
        select(Image.content_hash, Image.id, Image.state).where(Image.content_hash.in_(list(sizes)))
    )
    return {bytes(digest): (image_id, state) for digest, image_id, state in found}


def _save_sources(session: Session, files: Sequence[NewFile], ids: Mapping[bytes, int]) -> None:
    rows = {
        (file.kind, file.uri): {
            "image_id": ids[file.content_hash],
            "kind": file.kind,
            "uri": file.uri,
            "external_id": file.external_id,
            "title": file.title,
            "bytes": file.bytes,
            "modified_ns": file.modified_ns,
        }
        for file in files
    }
    statement = insert(Source).values([rows[key] for key in sorted(rows)])
    changed: dict[str, ColumnElement[Any]] = {
        name: statement.excluded[name] for name in ("image_id", "bytes", "modified_ns")
    }
    for name in ("external_id", "title"):  # who brings it again without a word takes nothing back
        changed[name] = func.coalesce(statement.excluded[name], getattr(Source, name))
    session.execute(
        statement.on_conflict_do_update(index_elements=[Source.kind, text("md5(uri)")], set_=changed)
    )


def _retire(session: Session, old_id: int, new_id: int) -> int | None:
    """Carry a replaced image's human statements to its successor; its id if nothing names it any more."""
    people = select(Annotator.id).where(Annotator.kind == "person")
    for table, columns in (
        (ImageTag, ("tag_id", "annotator_id", "confidence", "rejected")),
        (Caption, ("annotator_id", "text", "guided_by")),
    ):
        copied = [getattr(table, name) for name in columns]
        rows = select(text(str(int(new_id))), *copied).where(
            table.image_id == old_id, table.annotator_id.in_(people)
        )
        session.execute(insert(table).from_select(["image_id", *columns], rows).on_conflict_do_nothing())
    still_named = session.scalar(select(func.count()).where(Source.image_id == old_id))
    return None if still_named else old_id


def fail(session: Session, image_id: int, code: str, message: str) -> None:
    """Record why an image cannot be used, which ends the work on it; an image already finished stays as it is."""
    session.execute(
        update(Image)
        .where(Image.id == image_id, Image.state == PENDING)
        .values(state=FAILED, error_code=code, error_message=message)
    )
    session.execute(delete(Work).where(Work.image_id == image_id))


def lock(session: Session, image_ids: Sequence[int]) -> list[int]:
    """Those that exist, kept from other writers until the transaction ends.

    Locked in id order, so that two writers of the same images wait for each other rather than deadlock.
    """
    query = select(Image.id).where(Image.id.in_(image_ids)).order_by(Image.id)
    return list(session.scalars(query.with_for_update(key_share=True)))


def reset(session: Session, image_ids: Iterable[int], state: str) -> None:
    """Send images back on the road: to `annotated` to fill Milvus again; see `look_again` for `pending`."""
    session.execute(
        update(Image)
        .where(Image.id.in_(list(image_ids)))
        .values(state=state, error_code=None, error_message=None)
    )


def look_again(
    session: Session, image_ids: Sequence[int], job_id: int | None = None, priority: int = work.BULK
) -> None:
    """Send images back to the start of the road, whatever became of them before."""
    reset(session, image_ids, PENDING)
    work.add(session, image_ids, job_id, priority)


def failed(session: Session, image_ids: Sequence[int] | None = None) -> list[int]:
    """Ids of refused and of dead images, all or among those given."""
    query = select(Image.id).where(Image.state.in_([FAILED, DEAD])).order_by(Image.id)
    return list(session.scalars(query if image_ids is None else query.where(Image.id.in_(image_ids))))


def to_retry(
    session: Session, code: str | None, refused: bool, after_id: int = 0, limit: int = 1000
) -> list[int]:
    """Ids of dead images, in order, from `after_id` on.

    Args:
        session: to read with.
        code: those of this reason only, and refused images of this reason as well.
        refused: refused images as well.
        after_id: where to go on from.
        limit: at most so many.
    """
    states = [DEAD, FAILED] if refused or code else [DEAD]
    query = select(Image.id).where(Image.state.in_(states), Image.id > after_id)
    if code is not None:
        query = query.where(Image.error_code == code)
    return list(session.scalars(query.order_by(Image.id).limit(limit)))


def given_up(session: Session) -> dict[str, int]:
    """How many dead images there are for each reason, the commonest first."""
    count = func.count()
    rows = session.execute(
        select(Image.error_code, count)
        .where(Image.state == DEAD)
        .group_by(Image.error_code)
        .order_by(count.desc(), Image.error_code)
    )
    return {str(code): number for code, number in rows}


def unreadable(session: Session, image_ids: Sequence[int]) -> list[int]:
    """Those refused only because their bytes could not be read at the time."""
    return list(
        session.scalars(
            select(Image.id).where(Image.id.in_(image_ids), Image.error_code == ImageUnreadable.code)
        )
    )


def count_by_state(session: Session) -> dict[str, int]:
    """How many images are in each state; states with none are present with 0."""
    counts = dict.fromkeys((PENDING, ANNOTATED, INDEXED, FAILED, DEAD), 0)
    counts.update(session.execute(select(Image.state, func.count()).group_by(Image.state)).all())
    return counts


def remove(session: Session, image_ids: Sequence[int]) -> dict[int, bytes]:
    """Delete images and all that was said of them; the content hashes of those there were, by id."""
    rows = delete(Image).where(Image.id.in_(lock(session, image_ids)))
    gone = session.execute(rows.returning(Image.id, Image.content_hash))
    return {image_id: bytes(digest) for image_id, digest in gone}
