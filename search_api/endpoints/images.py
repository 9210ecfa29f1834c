"""Everything known of one image."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlalchemy.orm import Session

from indexer.catalog import collections, hits
from indexer.catalog import images as image_catalog
from indexer.catalog.hits import ImageView
from indexer.errors import NotFound
from indexer.task_queue import WRITES
from search_api import schemas, views
from search_api.access import requires
from search_api.dependencies import ServicesDep, SessionDep
from search_api.etags import IfMatch, IfNoneMatch, etag, expect, held
from search_api.problems import answers
from search_api.selection import chosen_ids

router = APIRouter(prefix="/v1/images", tags=["images"])


def find(session: Session, image_id: int) -> ImageView:
    """The image, or NotFound."""
    found = hits.load(session, [image_id]) if 0 < image_id < 2**63 else []
    if not found:
        raise NotFound(f"There is no image {image_id}; it may have been removed.")
    return found[0]


def shown(session: Session, image_id: int) -> schemas.ImageOut:
    """Everything known of the image, or NotFound."""
    return views.image(find(session, image_id), collections.holding(session, image_id))


def find_for_change(session: Session, image_id: int, if_match: str | None) -> None:
    """Keep the image from other writers until the transaction ends; NotFound, or Stale if not as known."""
    if 0 < image_id < 2**63:
        image_catalog.lock(session, [image_id])
    expect(if_match, shown(session, image_id))


@router.get(
    "/{image_id}",
    dependencies=[requires("images.read")],
    response_model=schemas.ImageOut,
    responses=answers(404, 503) | {304: {"description": "it is as you hold it"}},
)
def image(
    image_id: int, session: SessionDep, response: Response, if_none_match: IfNoneMatch = None
) -> schemas.ImageOut | Response:
    """Everything known of one image: captions, tags and who says so, metadata, sources, collections.

    The ETag changes with anything told here: send it back as `If-None-Match` to be answered 304, or as
    `If-Match` with a change, which is then refused (412) if somebody else was faster.
    """
    told = shown(session, image_id)
    headers = {"ETag": etag(told), "Cache-Control": "private, no-cache"}
    if held(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return told


@router.delete(
    "/{image_id}",
    dependencies=[requires("images.write")],
    status_code=204,
    response_class=Response,
    responses=answers(404, 412, 503),
)
def remove(
    image_id: int,
    services: ServicesDep,
    originals: Annotated[bool, Query(description="also the original kept of an upload")] = True,
    if_match: IfMatch = None,
) -> Response:
    """Take an image out of the library, with all that was said of it, its thumbnail and the original of an upload.

    A file indexed from a folder stays where it is. The image is found no more as soon as this is answered.
    """
    with services.sessions.begin() as session:
        find_for_change(session, image_id, if_match)
        services.remover.remove_within(session, [image_id], originals=originals)
    services.queue.wake(WRITES)
    return Response(status_code=204)


@router.post("/delete", dependencies=[requires("images.write")], responses=answers(404, 422, 503))
def remove_many(body: schemas.RemovalIn, services: ServicesDep) -> schemas.RemovalOut:
    """Take many images out of the library, as `DELETE /v1/images/{image_id}` does one; this cannot be undone.

    If a store goes away meanwhile, some are removed and the rest are as they were: ask again.
    """
    image_ids = chosen_ids(services, body)
    removed = set(services.remover.remove(image_ids, originals=body.originals))
    services.queue.wake(WRITES)
    items = [
        schemas.RemovedItem(image_id=i, status="removed" if i in removed else "missing") for i in image_ids
    ]
    return schemas.RemovalOut(removed=len(removed), missing=len(items) - len(removed), items=items)
