"""What Prometheus collects."""

from fastapi import APIRouter, Request, Response

from indexer import metrics
from indexer.catalog import backlog
from search_api.access import requires
from search_api.dependencies import ServicesDep
from search_api.gauges import CatalogueGauges

router = APIRouter(tags=["health"], dependencies=[requires("search")])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def exposition(request: Request, services: ServicesDep) -> Response:
    """Counters and histograms of this process, and what waits in the catalogue, in Prometheus's text format."""
    gauges: CatalogueGauges = request.app.state.gauges

    def read() -> backlog.Backlog:
        with services.sessions() as session:
            return backlog.read(session)

    return Response(metrics.exposition() + gauges.exposition(read), media_type=metrics.CONTENT_TYPE)
