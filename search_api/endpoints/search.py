"""Find images by words, tags and examples."""

from collections import defaultdict
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from indexer.errors import ImageTooLarge, QueryError
from indexer.old_query import MAX_LIMIT, MAX_OFFSET, MAX_TEXT, TagFilter
from indexer.old_query import Query as SearchQuery
from indexer.search import browse
from search_api import schemas, views
from search_api.dependencies import ServicesDep
from search_api.multipart import Part, parts
from search_api.problems import answers
from search_api.services import Services

router = APIRouter(prefix="/v1/search", tags=["search"])
MAX_EXAMPLES = 4
N = TypeVar("N", int, float)

FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "maxItems": MAX_EXAMPLES,
                            "items": {"type": "string", "format": "binary"},
                            "description": "picture files to resemble",
                        },
                        "text": {"type": "string"},
                        "like": {"type": "array", "items": {"type": "integer"}},
                        "tag": {"type": "array", "items": {"type": "string"}},
                        "any": {"type": "array", "items": {"type": "string"}},
                        "not": {"type": "array", "items": {"type": "string"}},
                        "min_confidence": {"type": "number", "minimum": 0, "maximum": 1},
                        "limit": {"type": "integer", "default": 50},
                        "offset": {"type": "integer", "default": 0},
                    },
                }
            }
        },
    }
}


@router.post("", responses=answers(404, 422, 503))
def search(body: schemas.SearchIn, services: ServicesDep) -> schemas.SearchOut:
    """Search by a JSON request.

    Images are ranked by how near their embedding and their caption's are to the text and the examples;
    tags filter exactly: no image that passes is ever lost.
    """
    tags = body.tags
    wanted = TagFilter(tuple(tags.all), tuple(tags.any), tuple(tags.none), tags.min_confidence)
    return _answer(services, SearchQuery(body.text, tuple(body.like), (), wanted, body.limit, body.offset))


@router.get("", responses=answers(404, 422, 503))
def search_by_address(
    services: ServicesDep,
    text: Annotated[str, Query(max_length=MAX_TEXT, description="what the picture shows")] = "",
    like: Annotated[list[int], Query(description="ids of images to resemble")] = [],  # noqa: B006
    tag: Annotated[list[str], Query(description="tags it must show, every one")] = [],  # noqa: B006
    any_: Annotated[list[str], Query(alias="any", description="at least one of these")] = [],  # noqa: B006
    not_: Annotated[list[str], Query(alias="not", description="none of these")] = [],  # noqa: B006
    min_confidence: Annotated[float, Query(ge=0, le=1, description="of `tag` and `any`")] = 0.0,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
) -> schemas.SearchOut:
    """Search by an address that can be kept; means what the JSON request means."""
    wanted = TagFilter(tuple(tag), tuple(any_), tuple(not_), min_confidence)
    return _answer(services, SearchQuery(text, tuple(like), (), wanted, limit, offset))


@router.post("/image", openapi_extra=FORM, responses=answers(404, 413, 415, 422, 503))
async def search_by_image(request: Request, services: ServicesDep) -> schemas.SearchOut:
    """Search by picture files, sent as form data together with the other conditions.

    The files are looked at and forgotten.
    """
    fields: dict[str, list[str]] = defaultdict(list)
    files: list[bytes] = []
    async for part in parts(request, services.limits.max_bytes):
        if part.filename is None:
            fields[part.name].append(part.text)
        else:
            files.append(_example(part, len(files), services.limits.max_bytes))
    if not files:
        raise QueryError("Send at least one picture in a part named `file`.")
    return await run_in_threadpool(_answer, services, _from_form(fields, files))


def _example(part: Part, before: int, max_bytes: int) -> bytes:
    if part.too_large:
        raise ImageTooLarge(f"{part.filename} is over the limit of {max_bytes:,} bytes. Shrink it.")
    if before == MAX_EXAMPLES:
        raise QueryError(f"At most {MAX_EXAMPLES} pictures can be searched by at once.")
    return bytes(part.data)


def _from_form(fields: dict[str, list[str]], files: list[bytes]) -> SearchQuery:
    unknown = fields.keys() - {
        "text",
        "like",
        "tag",
        "any",
        "not",
        "min_confidence",
        "limit",
        "offset",
    }
    if unknown:
        raise QueryError(f"There is no field {sorted(unknown)[0][:50]!r}.")
    wanted = TagFilter(
        tuple(fields["tag"]),
        tuple(fields["any"]),
        tuple(fields["not"]),
        _number(fields, "min_confidence", 0.0),
    )
    like = tuple(_parsed("like", text, int) for text in fields["like"])
    limit, offset = _number(fields, "limit", 50), _number(fields, "offset", 0)
    return SearchQuery(" ".join(fields["text"]), like, tuple(files), wanted, limit, offset)


def _number(fields: dict[str, list[str]], name: str, default: N) -> N:
    values = fields[name]
    return _parsed(name, values[-1], type(default)) if values else default


def _parsed(name: str, text: str, kind: type[N]) -> N:
    try:
        return TypeAdapter(kind).validate_python(text)
    except ValueError as error:
        raise QueryError(f"{name} is {text[:50]!r}; it must be a number.") from error


def _answer(services: Services, query: SearchQuery) -> schemas.SearchOut:
    with services.sessions() as session:
        found = services.searcher.get().search(session, query) if query.semantic else browse(session, query)
        return views.result(found, query.offset, ranked=query.semantic)
