"""GET /metrics, for Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from serve_app.service import RecommendationService


def router(service: RecommendationService) -> APIRouter:
    """The route; what is known of the bundle comes from `service.overview.bundle`."""
    routes = APIRouter(tags=["health"])

    @routes.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        """Requests, latencies, queues and the bundle, in the text format of Prometheus."""
        return Response(service.metrics.render(await service.overview.bundle()), media_type=CONTENT_TYPE_LATEST)

    return routes
