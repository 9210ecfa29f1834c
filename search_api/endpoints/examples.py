"""Pictures to search by, looked at and forgotten."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from indexer.errors import ImageTooLarge, QueryError
from indexer.search import examples
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep
from search_api.multipart import Part, parts
from search_api.problems import answers
from search_api.services import Services

router = APIRouter(prefix="/v1/examples", tags=["search"], dependencies=[requires("search")])
BYTES = {"type": "string", "format": "binary"}
PICTURE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": BYTES}}
            },
            "image/*": {"schema": BYTES},
        },
    }
}


@router.post("", openapi_extra=PICTURE, responses=answers(413, 415, 422, 503))
async def example(request: Request, services: ServicesDep) -> schemas.ExampleOut:
    """Make a picture something to search by: `like:<example>` in a query finds what resembles it.

    Send one file as form data, or its bytes as the body under their media type (`image/jpeg`). The picture is
    looked at and forgotten; what comes back holds all that the search needs.
    """
    limit = services.limits.max_bytes
    if request.headers.get("content-type", "").startswith("multipart/"):
        data = await _only_file(request, limit)
    else:
        data = await _body(request, limit)
    return await run_in_threadpool(_example, services, data)


def _example(services: Services, data: bytes) -> schemas.ExampleOut:
    embedder = services.semantics.get().embedder
    pixels = services.pool.decode(data, [embedder.input]).inputs[0]
    embedding = embedder.embed_images(pixels[None])[0]
    return schemas.ExampleOut(example=examples.encode(embedding, embedder.identity.version))


async def _only_file(request: Request, limit: int) -> bytes:
    files: list[Part] = [part async for part in parts(request, limit) if part.filename is not None]
    if len(files) != 1:
        raise QueryError("Send exactly one picture: each example is a token of its own.")
    if files[0].too_large:
        raise _too_large(limit)
    return bytes(files[0].data)


async def _body(request: Request, limit: int) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise _too_large(limit)
    if not data:
        raise QueryError("Send a picture: one file as multipart/form-data, or its bytes as the body.")
    return bytes(data)


def _too_large(limit: int) -> ImageTooLarge:
    return ImageTooLarge(f"The picture is over the limit of {limit:,} bytes. Shrink it and try again.")
