"""Named sets of images."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlalchemy.orm import Session

from indexer.catalog import collections
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep, SessionDep
from search_api.problems import answers
from search_api.selection import chosen_ids

router = APIRouter(prefix="/v1/collections", tags=["collections"])
CollectionId = Annotated[int, Path(ge=1, lt=2**31)]


@router.get("", dependencies=[requires("search")], responses=answers(503))
def all_of_them(session: SessionDep) -> schemas.CollectionsOut:
    """Every collection, by name, with how many images it holds."""
    found = collections.all_of_them(session)
    return schemas.CollectionsOut(
        collections=[schemas.CollectionOut.model_validate(asdict(view)) for view in found]
    )


@router.post("", dependencies=[requires("tags.write")], status_code=201, responses=answers(409, 422, 503))
def create(body: schemas.CollectionIn, session: SessionDep, response: Response) -> schemas.CollectionOut:
    """Begin a collection."""
    collection_id = collections.create(session, body.name)
    response.headers["Location"] = f"/v1/collections/{collection_id}"
    return _shown(session, collection_id)


@router.get("/{collection_id}", dependencies=[requires("search")], responses=answers(404, 503))
def collection(collection_id: CollectionId, session: SessionDep) -> schemas.CollectionOut:
    """One collection; `GET /v1/search?q=collection:NAME` has its images."""
    return _shown(session, collection_id)


@router.patch(
    "/{collection_id}", dependencies=[requires("tags.write")], responses=answers(404, 409, 422, 503)
)
def rename(
    collection_id: CollectionId, body: schemas.CollectionIn, session: SessionDep
) -> schemas.CollectionOut:
    """Give a collection another name."""
    collections.rename(session, collection_id, body.name)
    return _shown(session, collection_id)


@router.delete(
    "/{collection_id}", dependencies=[requires("tags.write")], status_code=204, responses=answers(404, 503)
)
def remove(collection_id: CollectionId, session: SessionDep) -> Response:
    """Forget a collection; its images stay in the library."""
    collections.remove(session, collection_id)
    return Response(status_code=204)


@router.post(
    "/{collection_id}/images", dependencies=[requires("tags.write")], responses=answers(404, 413, 422, 503)
)
def add(
    collection_id: CollectionId, body: schemas.Selection, services: ServicesDep
) -> schemas.MembersChanged:
    """Put images into a collection; those in it already, and ids that name nothing, change nothing."""
    image_ids = chosen_ids(services, body)
    with services.sessions.begin() as session:
        changed = collections.add(session, collection_id, image_ids)
        return schemas.MembersChanged(collection=_shown(session, collection_id), changed=changed)


@router.post(
    "/{collection_id}/images/remove",
    dependencies=[requires("tags.write")],
    responses=answers(404, 413, 422, 503),
)
def take_out(
    collection_id: CollectionId, body: schemas.Selection, services: ServicesDep
) -> schemas.MembersChanged:
    """Take images out of a collection; they stay in the library."""
    image_ids = chosen_ids(services, body)
    with services.sessions.begin() as session:
        changed = collections.take_out(session, collection_id, image_ids)
        return schemas.MembersChanged(collection=_shown(session, collection_id), changed=changed)


def _shown(session: Session, collection_id: int) -> schemas.CollectionOut:
    return schemas.CollectionOut.model_validate(asdict(collections.find(session, collection_id)))
