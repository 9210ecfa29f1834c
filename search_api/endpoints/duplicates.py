"""Pictures that are there twice."""

from typing import Annotated

from fastapi import APIRouter, Query

from indexer import query
from indexer.catalog.hits import ImageView
from indexer.search import duplicates
from indexer.search.duplicates import DEFAULT_THRESHOLD, Twins
from search_api import schemas, views
from search_api.access import requires
from search_api.dependencies import ServicesDep
from search_api.problems import answers
from search_api.schemas.query import MAX_QUERY

router = APIRouter(prefix="/v1/duplicates", tags=["search"], dependencies=[requires("search")])


@router.get("", responses=answers(404, 422, 503))
def within(
    services: ServicesDep,
    q: Annotated[str, Query(max_length=MAX_QUERY, description="a query; empty: the whole library")] = "",
    threshold: Annotated[
        float, Query(ge=0.5, le=1, description="cosine from which on two images are one picture")
    ] = DEFAULT_THRESHOLD,
    limit: Annotated[int, Query(ge=1, le=1_000, description="groups told")] = 100,
) -> schemas.DuplicatesOut:
    """Groups of near-duplicates among what a query finds: one picture resized, recompressed, cropped a little.

    Files equal byte for byte are one image already. At most 20,000 images are compared.
    """
    asked = query.parse(q)
    found = duplicates.find(services.searcher.get(), asked, threshold)
    return schemas.DuplicatesOut(
        query=query.to_text(asked),
        threshold=threshold,
        compared=found.compared,
        groups=[_group(twins) for twins in found.groups[:limit]],
        more=max(0, len(found.groups) - limit),
    )


def _group(twins: Twins) -> schemas.DuplicateGroupOut:
    pairs = zip(twins.images, twins.cosines, strict=True)
    return schemas.DuplicateGroupOut(
        similarity=twins.similarity, images=[_image(image, cosine) for image, cosine in pairs]
    )


def _image(image: ImageView, cosine: float) -> schemas.DuplicateOut:
    return schemas.DuplicateOut(
        id=image.id,
        name=views.file_name(image.sources[0].uri) if image.sources else None,
        width=image.width,
        height=image.height,
        bytes=image.bytes,
        format=image.format,
        thumbnail_url=views.summary(image).thumbnail_url,
        similarity=cosine,
    )
