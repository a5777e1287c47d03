"""POST /v1/recommend, and several of them at once."""

from typing import Any

from fastapi import APIRouter

from serve_app.limits import LimitedRoute
from serve_app.schemas.answers import BatchResponse, ErrorResponse, ItemsResponse
from serve_app.schemas.requests import BatchRequest, RecommendRequest
from serve_app.service import RecommendationService
from serve_app.service.batch import recommend_many

GONE: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorResponse, "description": "the cursor is no such, or of another request; or explore beside it"},
    410: {"model": ErrorResponse, "description": "the cursor's bundle is served no more"},
}


def router(service: RecommendationService) -> APIRouter:
    """The routes, answered by `service.asked`."""
    routes = APIRouter(route_class=LimitedRoute, tags=["recommend"])

    @routes.post("/recommend", responses=GONE)
    async def recommend(request: RecommendRequest) -> ItemsResponse:
        """The best items for somebody known, or for somebody new who is described by words or by liked items."""
        return ItemsResponse.of(await service.asked(request))

    @routes.post("/recommend/batch")
    async def batch(request: BatchRequest) -> BatchResponse:
        """Several requests, each answered or refused on its own, in order; 200 whatever became of them."""
        return BatchResponse(answers=await recommend_many(service, request.requests))

    return routes
