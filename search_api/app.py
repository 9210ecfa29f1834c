"""`uvicorn search_api.app:create_app --factory`: the application."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import DataError, OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import Route

from indexer import errors
from indexer.settings import Settings, get_settings
from search_api.access import open_doors
from search_api.bodies import Bodies, refused
from search_api.endpoints import (
    collections,
    corrections,
    duplicates,
    edits,
    examples,
    export,
    files,
    health,
    heat,
    images,
    imports,
    jobs,
    metrics,
    page,
    query,
    search,
    searches,
    session,
    tags,
    uploads,
)
from search_api.gauges import CatalogueGauges
from search_api.problems import Problem, ProblemOut, guarded, problem_of
from search_api.request_log import RequestLog
from search_api.security import DEFAULT_HEADERS, Gatekeeper, SecurityHeaders
from search_api.services import Services, open_services

logger = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"


class FreshFiles(StaticFiles):
    """Static files asked again each time and answered 304: a new version is seen at once."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """As the parent's, with the header that has it asked again."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(settings: Settings | None = None) -> FastAPI:
    """The web application; `settings` are the process's own unless given."""
    chosen = settings or get_settings()
    app = FastAPI(
        title="Sightline",
        version="1",
        summary="Find images by what is in them: tags, captions and embeddings, searched together.",
        lifespan=_lifespan(chosen),
        openapi_url="/v1/openapi.json",
        docs_url=None,  # the stock pages load scripts from a foreign host
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    nouns = (
        search,
        examples,
        query,
        searches,
        export,
        duplicates,
        images,
        files,
        heat,
        uploads,
        imports,
        corrections,
        edits,
        collections,
        tags,
        jobs,
        session,
        health,
        metrics,
        page,
    )
    for router in (noun.router for noun in nouns):
        app.include_router(router)
    app.mount("/static", FreshFiles(directory=STATIC), name="static")
    app.add_middleware(Gatekeeper, names=[chosen.host, *chosen.access.host_names])
    app.add_middleware(Bodies, max_bytes=chosen.access.max_request_bytes)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestLog)  # outermost: what is refused on the way in is counted too
    app.state.gauges = CatalogueGauges()
    _handle_errors(app)
    return app


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = open_services(settings)
        app.state.services = services
        app.state.doors = open_doors(settings.access, settings.home, services)
        await run_in_threadpool(services.start)
        try:
            yield
        finally:
            await run_in_threadpool(services.close)

    return lifespan


def _handle_errors(app: FastAPI) -> None:
    app.add_exception_handler(errors.SightlineError, _refused)
    app.add_exception_handler(OperationalError, _no_postgres)
    app.add_exception_handler(DataError, _unstorable)
    app.add_exception_handler(UnicodeEncodeError, _unstorable)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
    schema = app.openapi

    def with_problems() -> dict:
        if app.openapi_schema is None:
            described = schema()
            problem = ProblemOut.model_json_schema()
            described.setdefault("components", {}).setdefault("schemas", {}).setdefault("ProblemOut", problem)
            guarded(described)
        return schema()

    app.openapi = with_problems  # type: ignore[method-assign]


def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, errors.ServiceUnavailable):
        logger.warning("%s %s: %s", request.method, request.url.path, error)
        services: Services = request.app.state.services
        services.reconnect()
    return problem_of(error).response()


def _no_postgres(request: Request, error: Exception) -> Response:
    detail = "Postgres does not answer. It is tried again at the next request."
    logger.warning("%s %s: %s", request.method, request.url.path, error)
    return _refused(request, errors.ServiceUnavailable("postgres", detail))


def _unstorable(request: Request, error: Exception) -> Response:
    """Text with characters that Postgres cannot hold; whatever else it cannot take is a mistake made here."""
    if isinstance(error, DataError) and "NUL" not in str(error.orig):
        return _unexpected(request, error)
    detail = (
        "The text holds a character that cannot be kept (U+0000, or half of a surrogate pair): leave it out."
    )
    return Problem(422, "malformed_request", "The request is malformed", detail).response()


def _malformed(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [
        {"pointer": "/" + "/".join(str(step) for step in item["loc"]), "detail": item["msg"]}
        for item in error.errors()
    ]
    told = "; ".join(f"{item['pointer']}: {item['detail']}" for item in found)
    return Problem(422, "malformed_request", "The request is malformed", told, {"errors": found}).response()


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # FastAPI, of a body that is no JSON, nor text
        detail = "The body is not JSON in UTF-8."
        return Problem(422, "malformed_request", "The request is malformed", detail).response()
    if error.status_code in (408, 413):  # found while the endpoint was reading
        return refused(error).response()
    names = {404: ("not_found", "Nothing is here"), 405: ("method_not_allowed", "Not done this way here")}
    name, title = names.get(error.status_code, ("http_error", "The request was refused"))
    response = Problem(error.status_code, name, title, str(error.detail)).response()
    response.headers.update(error.headers or {})
    if error.status_code == 405:
        response.headers["Allow"] = ", ".join(_methods(request))
    return response


def _methods(request: Request) -> list[str]:
    """Every method of this address: the router names only those of the first endpoint it came by."""
    routes = [r for r in request.app.routes if isinstance(r, Route) and r.path_regex.match(request.url.path)]
    return sorted({method for route in routes for method in route.methods or ()})


def _unexpected(_: Request, error: Exception) -> Response:
    """The log has the traceback; the answer does not."""
    detail = "Something went wrong here; the server's log says what. Trying again is safe."
    logger.error("unexpected error: %s", type(error).__name__)
    response = Problem(500, "internal_error", "Internal error", detail).response()
    response.headers.update(DEFAULT_HEADERS)  # made outside the middleware that adds them
    return response
