"""POST /v1/rank."""

from fastapi import APIRouter

from serve_app.limits import LimitedRoute
from serve_app.schemas.answers import ItemsResponse
from serve_app.schemas.requests import RankRequest
from serve_app.service import RecommendationService


def router(service: RecommendationService) -> APIRouter:
    """The route, answered by `service.rank`."""
    routes = APIRouter(route_class=LimitedRoute, tags=["recommend"])

    @routes.post("/rank")
    async def rank(request: RankRequest) -> ItemsResponse:
        """The candidates as recommend orders them, with click probabilities; unknown ones are named."""
        return ItemsResponse.of(await service.rank(request, request.candidates))

    return routes
