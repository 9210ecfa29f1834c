"""A whole answer as a file."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from indexer import query
from indexer.search import export
from indexer.search.pages import pages
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep
from search_api.endpoints.search import only_known
from search_api.problems import answers
from search_api.schemas.export import ExportFormat
from search_api.schemas.query import MAX_QUERY
from search_api.services import Services

router = APIRouter(prefix="/v1/export", tags=["search"], dependencies=[requires("search")])
MAX_NAME = 50  # characters of a query in a file's name
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "a row for each hit, in the order of the search, sent as it is found",
        "content": {kind: {"schema": {"type": "string"}} for kind in export.MEDIA_TYPES.values()},
    }
}


@router.get(
    "",
    dependencies=[Depends(only_known)],
    response_class=StreamingResponse,
    responses=answers(404, 422, 503) | FILE,
)
def by_address(
    services: ServicesDep,
    q: Annotated[str, Query(max_length=MAX_QUERY, description="a query; empty: the whole library")] = "",
    format_: Annotated[ExportFormat, Query(alias="format")] = "csv",
    columns: Annotated[str, Query(max_length=1_000, description="comma between; none: all")] = "",
    all_: Annotated[bool, Query(alias="all", description="also what does not stand out")] = False,
) -> StreamingResponse:
    """Everything a query finds, however much, as CSV, JSON Lines or Parquet."""
    names = [name.strip() for name in columns.split(",") if name.strip()]
    return _file(services, q, format_, names, everything=all_)


@router.post("", response_class=StreamingResponse, responses=answers(404, 422, 503) | FILE)
def by_request(body: schemas.ExportIn, services: ServicesDep) -> StreamingResponse:
    """The same by a JSON request."""
    return _file(services, body.q, body.format, body.columns, everything=body.all)


def _file(
    services: Services, q: str, format_: ExportFormat, columns: Sequence[str], *, everything: bool
) -> StreamingResponse:
    found = pages(services.searcher.get(), query.parse(q), everything=everything)
    # What is wrong with the query shows at its first page, while the answer can still say so.
    first = next(found)
    hits = (hit for page in chain([first], found) for hit in page.hits)
    pieces: Iterator[bytes] = export.written(hits, format_, columns)
    name = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(_name(q, format_))}"}
    return StreamingResponse(pieces, media_type=export.MEDIA_TYPES[format_], headers=name)


def _name(q: str, format_: str) -> str:
    """What the file is called: after the query and the day, in letters and digits that every system can keep."""
    # The token of an uploaded picture is hundreds of characters long.
    told = re.sub(r"e1\.[\w-]+", "picture", q).encode("utf-8", "ignore").decode()
    words = re.sub(r"[\W_]+", "-", told)[:MAX_NAME].strip("-")
    day = f"{datetime.now(UTC).astimezone():%Y-%m-%d}"
    return "-".join(filter(None, ("sightline", words, day))) + f".{format_}"
