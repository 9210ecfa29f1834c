"""Where in an image a tag was seen."""

from fastapi import APIRouter, Response

from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep
from search_api.endpoints.images import find
from search_api.problems import answers

router = APIRouter(prefix="/v1/images/{image_id}", tags=["images"], dependencies=[requires("images.read")])


@router.get("/tags/{name:path}/heat", responses=answers(404, 503))
def heat(image_id: int, name: str, services: ServicesDep, response: Response) -> schemas.HeatOut:
    """A coarse heat map of where the tagger in use sees a tag, whether or not it asserts it.

    The map covers the whole picture, however it is cropped on a screen. The first one loads the tagger.
    """
    with services.sessions() as session:
        content_hash = find(session, image_id).content_hash
    found = services.heat_maps.of(content_hash, name)
    response.headers["Cache-Control"] = "private, max-age=3600"
    rows, columns = found.values.shape
    model = schemas.StatedBy(kind="model", name=found.model.name, version=found.model.version)
    values = found.values.round(3).astype(float)
    return schemas.HeatOut(rows=rows, columns=columns, values=values.tolist(), model=model)
