"""Is it alive, is it ready, how full is it."""

from collections.abc import Callable

from fastapi import APIRouter, Response

from indexer.catalog import connection, images
from indexer.errors import ServiceUnavailable, SightlineError
from search_api import schemas
from search_api.access import requires
from search_api.dependencies import ServicesDep, SessionDep
from search_api.problems import answers
from search_api.services import Services, reason

router = APIRouter(tags=["health"])
FOR_SEARCH = ("postgres", "milvus", "embedder")


@router.get("/healthz")
def alive() -> schemas.AliveOut:
    """Answers as long as the process does; asks nothing of the stores."""
    return schemas.AliveOut()


@router.get("/readyz", responses={503: {"model": schemas.ReadyOut, "description": "search cannot work"}})
def ready(services: ServicesDep, response: Response) -> schemas.ReadyOut:
    """Which parts work, and what is wrong with those that do not."""
    checks: dict[str, Callable[[Services], None]] = {
        "postgres": _postgres,
        "redis": _redis,
        "milvus": _milvus,
        "embedder": _embedder,
    }
    parts = {name: _status(check, services) for name, check in checks.items()}
    if not all(part.ok for part in parts.values()):
        services.reconnect()
    if not all(parts[name].ok for name in FOR_SEARCH):
        response.status_code = 503
        return schemas.ReadyOut(status="unavailable", parts=parts)
    return schemas.ReadyOut(status="ready" if parts["redis"].ok else "degraded", parts=parts)


@router.get("/v1/stats", tags=["images"], dependencies=[requires("search")], responses=answers(503))
def stats(session: SessionDep, services: ServicesDep) -> schemas.StatsOut:
    """How many images are where on the road from pending to indexed, and how long the queue is."""
    try:
        queued = services.queue.depth()
    except ServiceUnavailable:
        queued = None
    return schemas.StatsOut(
        images=images.count_by_state(session), queued_tasks=queued, max_bytes=services.limits.max_bytes
    )


def _status(check: Callable[[Services], None], services: Services) -> schemas.PartStatus:
    try:
        check(services)
    except Exception as error:
        return schemas.PartStatus(ok=False, detail=reason(error))
    return schemas.PartStatus(ok=True, detail=None)


def _postgres(services: Services) -> None:
    if not connection.is_current(services.engine.get()):
        raise SightlineError("The catalogue's schema is not this version's; restart the server.")


def _redis(services: Services) -> None:
    services.queue.depth()


def _milvus(services: Services) -> None:
    if not services.milvus.get().healthy():
        raise ServiceUnavailable("milvus", "Milvus does not answer.")


def _embedder(services: Services) -> None:
    services.semantics.check()
