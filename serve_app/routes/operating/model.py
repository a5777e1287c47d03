"""GET /v1/model."""

from fastapi import APIRouter

from serve_app import limits
from serve_app.schemas.answers import ModelResponse
from serve_app.service import RecommendationService


def router(service: RecommendationService) -> APIRouter:
    """The route, answered by `service.overview.describe`."""
    routes = APIRouter(tags=["model"])
    table = {f"{limit.field}.{limit.keyword}": limit.value for limit in limits.limits(service.config)}

    @routes.get("/model")
    async def model() -> ModelResponse:
        """What is being served, and how it was made."""
        return ModelResponse(**vars(await service.overview.describe()), limits=table)

    return routes
