"""Find images by words, pictures, tags and everything else that is known of them."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Query
from fastapi import Request as HttpRequest
from pydantic import BaseModel

from indexer import query as language
from indexer.errors import QueryError
from indexer.query import ExampleTerm, ImageTerm, Term
from indexer.search import MAX_LIMIT, Request
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep
from search_api.problems import answers
from search_api.services import Services
from search_api.views import hits

router = APIRouter(prefix="/v1/search", tags=["search"], dependencies=[requires("search")])
FACETS = get_args(schemas.Facet)
TREE = ("text", "terms", "filter", "order")
# What of a hit has fields of its own, each known by name.
PARTS: Mapping[str, type[BaseModel]] = {
    "": schemas.HitOut,
    "why": schemas.WhyOut,
    "image": schemas.ImageSummary,
}


def only_known(request: HttpRequest) -> None:
    """Refuse parameters that mean nothing here: with `query=dog` passed over, one would count the whole library."""
    known = [field.alias for field in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            raise QueryError(f"There is no parameter {name[:50]!r}; there are {', '.join(known)}.")


@router.post("", responses=answers(404, 422, 503))
def search(body: schemas.SearchIn, services: ServicesDep) -> schemas.SearchOut:
    """Search by a JSON request.

    The filter is exact. Words and pictures rank what passes it by how far image, caption and tags stand out from the
    query's own background; what does not stand out is hidden and counted.
    """
    return _answer(services, understood(body.model_dump(include={"q", *TREE})), _request(body), body.fields)


@router.get("", dependencies=[Depends(only_known)], responses=answers(404, 422, 503))
def search_by_address(
    services: ServicesDep,
    q: Annotated[str, Query(max_length=schemas.MAX_TEXT, description="the query as one types it")] = "",
    like: Annotated[
        list[str], Query(max_length=20, description="ids of images, or tokens of examples, to resemble")
    ] = [],  # noqa: B006
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="hits a page")] = 50,
    cursor: Annotated[
        str | None, Query(max_length=4_000, description="`next_cursor` of the page before")
    ] = None,
    facets: Annotated[str, Query(description="tag, year, format, source, collection; comma between")] = "",
    facet_limit: schemas.FacetLimit = 20,
    fields: Annotated[str | None, Query(description="only these of each hit; comma between")] = None,
    all_: Annotated[bool, Query(alias="all", description="also what does not stand out")] = False,
    explain: Annotated[bool, Query(description="tell the plan and its times")] = False,
) -> schemas.SearchOut:
    """Search by an address that can be kept; means what the JSON request means."""
    asked = language.parse(q)
    terms = (*asked.terms, *map(_example, like))
    request = Request(limit, cursor, _facets(facets), facet_limit, all_, explain)
    chosen = None if fields is None else _listed(fields)
    return _answer(services, language.Query(terms, asked.filter, asked.order), request, chosen)


def understood(spelling: dict[str, Any]) -> language.Query:
    """The query of a request that has `q`, or the tree's members, or nothing.

    Raises:
        QueryError: both, or one that cannot be understood.
    """
    tree = {name: spelling[name] for name in TREE if spelling.get(name) is not None}
    if spelling.get("q") is None:
        return language.from_json(tree)
    if tree:
        raise QueryError(f"Give either q or {', '.join(tree)}: `q` says it all in one line.")
    return language.parse(spelling["q"])


def _example(text: str) -> Term:
    if text.isdecimal() and len(text) < 19:
        return ImageTerm(int(text))
    return ExampleTerm(text)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _facets(text: str) -> tuple[str, ...]:
    names = _listed(text)
    unknown = [name for name in names if name not in FACETS]
    if unknown:
        raise QueryError(f"There is no facet {unknown[0][:50]!r}; there are {', '.join(FACETS)}.")
    return tuple(names)


def _request(body: schemas.SearchIn) -> Request:
    return Request(body.limit, body.cursor, tuple(body.facets), body.facet_limit, body.all, body.explain)


def _answer(
    services: Services, asked: language.Query, request: Request, fields: list[str] | None
) -> schemas.SearchOut:
    for field in fields or ():
        _check(field)
    found = services.searcher.get().search(asked, request)
    return hits.result(found, fields, services.condition.missing)


def _check(field: str) -> None:
    """Raises QueryError if no hit can have this field: passed over, a slip would look like a value that is missing."""
    whole = ""
    for name in field.split("."):
        part = PARTS.get(whole)
        if part is None:
            return
        if name not in part.model_fields:
            of = f"{whole}." if whole else ""
            there = ", ".join(of + known for known in part.model_fields)
            raise QueryError(f"There is no field {field[:50]!r}; there are {there}.")
        whole = f"{whole}.{name}".lstrip(".")
