"""What people say of images; what models said stays beside it."""

from typing import Annotated

from fastapi import APIRouter, Path

from indexer.catalog import corrections
from search_api import schemas, views
from search_api.dependencies import ServicesDep, SessionDep
from search_api.endpoints.images import find
from search_api.problems import answers

router = APIRouter(prefix="/v1/images/{image_id}", tags=["corrections"])
TagName = Annotated[str, Path(min_length=1, max_length=100, description="the tag; new names are created")]


@router.put("/tags/{name}", responses=answers(404, 422, 503))
def assert_tag(image_id: int, name: TagName, session: SessionDep) -> schemas.ImageOut:
    """Say that the image shows a tag; takes back an earlier rejection."""
    find(session, image_id)
    corrections.state_tag(session, image_id, name, rejected=False)
    return views.image(find(session, image_id))


@router.delete("/tags/{name}", responses=answers(404, 422, 503))
def reject_tag(image_id: int, name: TagName, session: SessionDep) -> schemas.ImageOut:
    """Say that the image does not show a tag: whatever models say, it is not found by it any more."""
    find(session, image_id)
    corrections.state_tag(session, image_id, name, rejected=True)
    return views.image(find(session, image_id))


@router.put("/caption", responses=answers(404, 422, 503))
def write_caption(image_id: int, body: schemas.CaptionIn, services: ServicesDep) -> schemas.ImageOut:
    """Write a caption of your own; it is shown first and searched at once."""
    searcher = services.searcher.get()
    embedding = searcher.embedder.embed_texts([body.text])
    with services.sessions.begin() as session:
        find(session, image_id)
        caption_id = corrections.write_caption(
            session, image_id, body.text, searcher.embedder_id, embedding[0]
        )
        view = find(session, image_id)
    if view.state == "indexed":
        searcher.store.upsert_captions([caption_id], [image_id], embedding)
    return views.image(view)
