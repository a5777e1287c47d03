"""POST /v1/recommend."""

from fastapi import APIRouter

from serve_app.limits import LimitedRoute
from serve_app.schemas.answers import ItemsResponse
from serve_app.schemas.requests import RecommendRequest
from serve_app.service import RecommendationService


def router(service: RecommendationService) -> APIRouter:
    """The route, answered by `service.recommend`."""
    routes = APIRouter(route_class=LimitedRoute, tags=["recommend"])

    @routes.post("/recommend")
    async def recommend(request: RecommendRequest) -> ItemsResponse:
        """The best items for somebody known, or for somebody new who is described by words or by liked items."""
        found = service.trials.recommend(request, service.recommend) if service.trials else service.recommend(request)
        return ItemsResponse.of(await found)

    return routes
