"""POST /v1/rank."""

from fastapi import APIRouter

from serve_app import limits
from serve_app.schemas import ItemsResponse, RankRequest
from serve_app.service import RecommendationService


def router(service: RecommendationService) -> APIRouter:
    """The route, answered by `service.rank`."""
    routes, table = APIRouter(tags=["recommend"]), limits.limits(service.config)

    @routes.post("/rank")
    async def rank(request: RankRequest) -> ItemsResponse:
        """The candidates in order of the probability of a click; those the bundle does not know are named."""
        limits.check(request, table)
        return ItemsResponse.of(await service.rank(request, request.candidates))

    return routes
