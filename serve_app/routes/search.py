"""POST /v1/search."""

from fastapi import APIRouter

from serve_app.limits import LimitedRoute
from serve_app.schemas.answers import ErrorResponse, SearchResponse
from serve_app.schemas.requests import SearchRequest
from serve_app.service import RecommendationService


def router(service: RecommendationService) -> APIRouter:
    """The route, answered by `service.search`."""
    routes = APIRouter(route_class=LimitedRoute, tags=["search"])
    not_found = {404: {"model": ErrorResponse, "description": "the bundle has no search index"}}

    @routes.post("/search", responses=not_found)  # type: ignore[arg-type]
    async def search(request: SearchRequest) -> SearchResponse:
        """Items by words, in any script: by the words themselves and by what they mean."""
        return SearchResponse.of(await service.search(request))

    return routes
