"""Tags of many images edited at once, and edits taken back."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query

from indexer.catalog import edits
from indexer.catalog.edits import EditView, Made
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep, SessionDep
from search_api.problems import answers
from search_api.selection import chosen_ids

router = APIRouter(prefix="/v1/edits", tags=["corrections"])
EditId = Annotated[int, Path(ge=1, lt=2**63)]


@router.post("", dependencies=[requires("tags.write")], status_code=201, responses=answers(404, 422, 503))
def make(body: schemas.EditIn, services: ServicesDep) -> schemas.EditMade:
    """Say of many images at once which tags they show and which they do not.

    Your own word is written beside what models say; `POST /v1/edits/{id}/undo` takes it back.
    """
    image_ids = chosen_ids(services, body)
    wish = edits.Wish(add=body.add, remove=body.remove, clear=body.clear)
    with services.sessions.begin() as session:
        made = edits.make(session, image_ids, wish)
        view = None if made.edit_id is None else edits.find(session, made.edit_id)
    return _made(image_ids, made, view)


@router.get("", dependencies=[requires("images.read")], responses=answers(422, 503))
def recent(
    session: SessionDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    before: Annotated[
        int | None, Query(ge=1, lt=2**63, description="id of an edit: only those made before it")
    ] = None,
) -> schemas.EditsOut:
    """The newest edits, newest first; a statement made of one image is an edit too.

    `before` the last one's id, the next older ones follow.
    """
    return schemas.EditsOut(edits=[_edit(view) for view in edits.recent(session, limit, before)])


@router.post("/{edit_id}/undo", dependencies=[requires("tags.write")], responses=answers(404, 422, 503))
def undo(edit_id: EditId, session: SessionDep) -> schemas.EditUndone:
    """Take an edit back: its tags are again what you had said before. Doing it twice changes nothing more.

    What you said since of the same tag of the same image is left alone.
    """
    undone = edits.undo(session, edit_id)
    view = _edit(edits.find(session, edit_id))
    return schemas.EditUndone(edit=view, restored=undone.restored, left=undone.left)


def _edit(view: EditView) -> schemas.EditOut:
    return schemas.EditOut.model_validate(asdict(view))


def _made(image_ids: Sequence[int], made: Made, view: EditView | None) -> schemas.EditMade:
    """What an edit did, image by image, in the order asked."""
    missing = set(made.missing)
    items = [
        schemas.EditItemOut(
            image_id=i,
            status="missing" if i in missing else "changed" if i in made.changed else "unchanged",
            tags=list(made.changed.get(i, ())),
        )
        for i in image_ids
    ]
    changed = len(made.changed)
    return schemas.EditMade(
        edit=_edit(view) if view else None,
        changed=changed,
        unchanged=len(items) - changed - len(missing),
        missing=len(missing),
        items=items,
    )
