"""GET /healthz and /readyz, open to everybody."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from serve_app.schemas.answers import HealthResponse, ReadyResponse
from serve_app.service import RecommendationService


def router(service: RecommendationService) -> APIRouter:
    """The routes; readiness is `service.overview.ready`."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    async def healthz() -> HealthResponse:
        """The process lives."""
        return HealthResponse()

    @routes.get("/readyz", responses={503: {"model": ReadyResponse, "description": "a part is not ready"}})
    async def readyz() -> JSONResponse:
        """Encoder, retriever and ranker answer; a bundle is loaded."""
        checks = await service.overview.ready()
        ready = all(state in ("ok", "busy") for state in checks.values())
        return JSONResponse(ReadyResponse(ready=ready, checks=checks).model_dump(), 200 if ready else 503)

    return routes
