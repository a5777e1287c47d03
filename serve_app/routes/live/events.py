"""POST /v1/events."""

from typing import Any

from fastapi import APIRouter

from serve_app.limits import LimitedRoute
from serve_app.schemas.answers import ErrorResponse
from serve_app.schemas.live import AnyEvents, EventsRequest, LoggedResponse
from serve_app.service import RecommendationService

#: Beside those of every route.
ERRORS: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorResponse, "description": "an event_id is taken by an event that says something else"},
    507: {"model": ErrorResponse, "description": "the log is full"},
}


def router(service: RecommendationService) -> APIRouter:
    """The route, answered by the service's intake."""
    routes = APIRouter(route_class=LimitedRoute, tags=["events"])
    intake = service.intake
    assert intake is not None

    @routes.post("/events", responses=ERRORS)
    async def events(request: AnyEvents) -> LoggedResponse:
        """Log what somebody took, one event or `{"events": [...]}`; the next answers know of it."""
        several = isinstance(request, EventsRequest)
        found = request.events if isinstance(request, EventsRequest) else [request]
        return LoggedResponse.of(await intake.events(found, several))

    return routes
