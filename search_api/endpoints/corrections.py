"""What people say of one image; what models said stays beside it."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Path, Response
from sqlalchemy.orm import Session

from indexer.catalog import corrections, edits
from indexer.catalog.edits import Wish
from indexer.errors import ModelMissing
from indexer.task_queue import WRITES
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep, SessionDep
from search_api.endpoints.images import find_for_change, shown
from search_api.etags import IfMatch, etag
from search_api.problems import answers
from search_api.services import Services

router = APIRouter(
    prefix="/v1/images/{image_id}", tags=["corrections"], dependencies=[requires("tags.write")]
)
# Its name may have slashes in it, so nothing can follow it in an address.
TagName = Annotated[str, Path(min_length=1, max_length=100, description="the tag, or an alias of it")]


@router.put("/tags/{name:path}", responses=answers(404, 412, 422, 503))
def assert_tag(
    image_id: int, name: TagName, session: SessionDep, response: Response, if_match: IfMatch = None
) -> schemas.ImageOut:
    """Say that the image shows a tag, which is created if it is new; takes back an earlier rejection."""
    return _say(session, image_id, Wish(add=[name]), response, if_match)


@router.delete("/statements/{name:path}", responses=answers(404, 412, 422, 503))
def take_back(
    image_id: int, name: TagName, session: SessionDep, response: Response, if_match: IfMatch = None
) -> schemas.ImageOut:
    """Take back your own word on a tag, assertion or rejection: what models and the file say counts again."""
    return _say(session, image_id, Wish(clear=[name]), response, if_match)


@router.delete("/tags/{name:path}", responses=answers(404, 412, 422, 503))
def reject_tag(
    image_id: int, name: TagName, session: SessionDep, response: Response, if_match: IfMatch = None
) -> schemas.ImageOut:
    """Say that the image does not show a tag: whatever models say, it is not found by it any more."""
    return _say(session, image_id, Wish(reject=[name]), response, if_match)


@router.put("/caption", responses=answers(404, 412, 422, 503))
def write_caption(
    image_id: int,
    body: schemas.CaptionIn,
    services: ServicesDep,
    response: Response,
    if_match: IfMatch = None,
) -> schemas.ImageOut:
    """Write a caption of your own; it is shown first and searched at once."""
    corrections.check_caption(body.text)  # before the model is asked
    embedder_id, embedding = _embedded(services, body.text)
    with services.sessions.begin() as session:
        find_for_change(session, image_id, if_match)
        corrections.write_caption(session, image_id, body.text, embedder_id, embedding)
        told = shown(session, image_id)
    services.queue.wake(WRITES)
    response.headers["ETag"] = etag(told)
    return told


@router.delete("/caption", responses=answers(404, 412, 422, 503))
def take_back_caption(
    image_id: int, services: ServicesDep, response: Response, if_match: IfMatch = None
) -> schemas.ImageOut:
    """Take back your own caption: what models say is shown first again. Where you wrote none, nothing changes."""
    with services.sessions.begin() as session:
        find_for_change(session, image_id, if_match)
        corrections.take_back_caption(session, image_id)
        told = shown(session, image_id)
    services.queue.wake(WRITES)
    response.headers["ETag"] = etag(told)
    return told


def _embedded(services: Services, text: str) -> tuple[int | None, np.ndarray | None]:
    """The embedder and its embedding (D,); none where it is not on this machine, so that a worker embeds the text."""
    try:
        semantics = services.semantics.get()
    except ModelMissing:
        return None, None
    return semantics.embedder_id, semantics.embedder.embed_texts([text])[0]


def _say(
    session: Session, image_id: int, wish: Wish, response: Response, if_match: str | None
) -> schemas.ImageOut:
    find_for_change(session, image_id, if_match)
    edits.make(session, [image_id], wish)
    told = shown(session, image_id)
    response.headers["ETag"] = etag(told)
    return told
