"""Is it alive, is it ready, how full is it."""

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter, Response

from indexer.catalog import backlog, connection
from indexer.errors import ServiceUnavailable, SightlineError
from search_api import schemas
from search_api.access import requires
from search_api.condition import MEANS
from search_api.dependencies import ServicesDep, SessionDep
from search_api.problems import answers
from search_api.services import Services, reason

router = APIRouter(tags=["health"])
FOR_SEARCH = ("postgres", "embedder")


@router.get("/healthz")
def alive() -> schemas.AliveOut:
    """Answers as long as the process does; asks nothing of the stores."""
    return schemas.AliveOut()


@router.get("/readyz", responses={503: {"model": schemas.ReadyOut, "description": "search cannot work"}})
def ready(services: ServicesDep, response: Response) -> schemas.ReadyOut:
    """Which parts work, and what is wrong with those that do not."""
    checks: dict[str, Callable[[], object]] = {
        "postgres": partial(_postgres, services),
        "embedder": services.semantics.check,
        **{name: partial(services.condition.check, name) for name in MEANS},
    }
    parts = {name: _status(check) for name, check in checks.items()}
    if not all(part.ok for part in parts.values()):
        services.reconnect()
    if not all(parts[name].ok for name in FOR_SEARCH):
        response.status_code = 503
        return schemas.ReadyOut(status="unavailable", parts=parts)
    well = all(part.ok for part in parts.values())
    return schemas.ReadyOut(status="ready" if well else "degraded", parts=parts)


@router.get("/v1/stats", tags=["images"], dependencies=[requires("search")], responses=answers(503))
def stats(session: SessionDep, services: ServicesDep) -> schemas.StatsOut:
    """How many images are where on the road from pending to indexed, what waits for workers, and how many there are."""
    try:
        queued = services.queue.depth()
    except ServiceUnavailable:
        queued = None
    now = backlog.read(session)
    return schemas.StatsOut(
        images=now.images,
        waiting={name: queue.waiting + queue.claimed for name, queue in now.queues.items()},
        workers=now.workers,
        queued_tasks=queued,
        max_bytes=services.limits.max_bytes,
    )


def _status(check: Callable[[], object]) -> schemas.PartStatus:
    try:
        check()
    except Exception as error:
        return schemas.PartStatus(ok=False, detail=reason(error))
    return schemas.PartStatus(ok=True, detail=None)


def _postgres(services: Services) -> None:
    if not connection.is_current(services.engine.get()):
        raise SightlineError("The catalogue's schema is not this version's; restart the server.")
