"""Searches kept under a name."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Response

from indexer import query
from indexer.catalog import saved_searches
from indexer.catalog.saved_searches import SavedView
from indexer.errors import NotFound, QueryError
from indexer.search import Count, Searcher
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep, SessionDep
from search_api.problems import answers
from search_api.services import Services

router = APIRouter(prefix="/v1/searches", tags=["saved searches"])
SearchId = Annotated[int, Path(ge=1, lt=2**31)]


@router.get("", dependencies=[requires("search")], responses=answers(503))
def all_of_them(services: ServicesDep) -> schemas.SavedList:
    """Every saved search, by name, with how many images each finds now."""
    with services.sessions() as session:
        kept = saved_searches.all_of_them(session)
    searcher = services.searcher.get()
    return schemas.SavedList(searches=[_shown(searcher, view) for view in kept])


@router.post("", dependencies=[requires("tags.write")], status_code=201, responses=answers(409, 422, 503))
def create(body: schemas.SavedIn, services: ServicesDep, response: Response) -> schemas.SavedOut:
    """Keep a search under a name."""
    canonical = query.to_text(query.parse(body.query))
    with services.sessions.begin() as session:
        search_id = saved_searches.create(session, body.name, canonical)
    response.headers["Location"] = f"/v1/searches/{search_id}"
    return _found(services, search_id)


@router.get("/{search_id}", dependencies=[requires("search")], responses=answers(404, 503))
def saved(search_id: SearchId, services: ServicesDep) -> schemas.SavedOut:
    """One saved search, with how many images it finds now."""
    return _found(services, search_id)


@router.patch("/{search_id}", dependencies=[requires("tags.write")], responses=answers(404, 409, 422, 503))
def change(search_id: SearchId, body: schemas.SavedChange, services: ServicesDep) -> schemas.SavedOut:
    """Give a saved search another name, another query, or both."""
    canonical = None if body.query is None else query.to_text(query.parse(body.query))
    with services.sessions.begin() as session:
        saved_searches.change(session, search_id, body.name, canonical)
    return _found(services, search_id)


@router.delete(
    "/{search_id}", dependencies=[requires("tags.write")], status_code=204, responses=answers(404, 503)
)
def remove(search_id: SearchId, session: SessionDep) -> Response:
    """Forget a saved search."""
    saved_searches.remove(session, search_id)
    return Response(status_code=204)


def _found(services: Services, search_id: int) -> schemas.SavedOut:
    with services.sessions() as session:
        view = saved_searches.find(session, search_id)
    return _shown(services.searcher.get(), view)


def _shown(searcher: Searcher, view: SavedView) -> schemas.SavedOut:
    count = _count(searcher, view.query)
    return schemas.SavedOut.model_validate(
        {
            **asdict(view),
            "count": None if count is None else count.value,
            "exact": count is not None and count.exact,
        }
    )


def _count(searcher: Searcher, text: str) -> Count | None:
    """None when what the search names is there no more: one such search must not hide the others."""
    try:
        return searcher.count(query.parse(text))
    except (QueryError, NotFound):
        return None
