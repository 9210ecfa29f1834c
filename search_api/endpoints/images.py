"""Everything known of one image."""

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from indexer.catalog import hits
from indexer.catalog.hits import ImageView
from indexer.errors import NotFound
from search_api import schemas, views
from search_api.dependencies import ServicesDep, SessionDep
from search_api.problems import answers

router = APIRouter(prefix="/v1/images", tags=["images"])


def find(session: Session, image_id: int) -> ImageView:
    """The image, or NotFound."""
    found = hits.load(session, [image_id]) if 0 < image_id < 2**63 else []
    if not found:
        raise NotFound(f"There is no image {image_id}; it may have been removed.")
    return found[0]


@router.get("/{image_id}", responses=answers(404, 503))
def image(image_id: int, session: SessionDep) -> schemas.ImageOut:
    """Everything known of one image: captions, tags and who says so, metadata, sources."""
    return views.image(find(session, image_id))


@router.delete("/{image_id}", status_code=202, responses=answers(404, 503))
def remove(image_id: int, services: ServicesDep) -> Response:
    """Take an image out of the library.

    A worker removes it from every store; an uploaded original goes with it, a file indexed from a folder
    stays where it is.
    """
    with services.sessions() as session:
        find(session, image_id)
    services.queue.delete([image_id])
    return Response(status_code=202)
