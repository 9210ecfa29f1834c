"""Which tags there are."""

from typing import Annotated

from fastapi import APIRouter, Query

from indexer.catalog import tags as tag_catalog
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep, SessionDep
from search_api.problems import answers

router = APIRouter(prefix="/v1/tags", tags=["tags"], dependencies=[requires("search")])


@router.get("", responses=answers(422, 503))
def tags(
    session: SessionDep,
    prefix: Annotated[str, Query(max_length=100, description="only tags one of whose words starts so")] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    unused: Annotated[bool, Query(description="also tags no image shows")] = False,
) -> schemas.TagsOut:
    """Tags by falling count: how many images show each, and from which confidence on it is asserted."""
    rows = tag_catalog.list_counts(session, prefix, limit, offset, used_only=not unused)
    return schemas.TagsOut(
        tags=[schemas.TagCountOut(name=r.name, images=r.images, threshold=r.threshold) for r in rows]
    )


@router.get("/complete", responses=answers(422, 503))
def complete(
    services: ServicesDep,
    prefix: Annotated[str, Query(max_length=100, description="letters typed so far")] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> schemas.CompletionsOut:
    """What the letters typed may become: tags by their names, words in these, aliases, other languages."""
    with services.sessions() as session:
        found = services.searcher.get().postings.view(session).complete(prefix, limit)
    return schemas.CompletionsOut(
        tags=[schemas.CompletionOut(name=c.name, count=c.count, alias=c.alias) for c in found]
    )
