"""PUT /v1/users/{id}/follows/{other}: whom a user follows from now on."""

from fastapi import APIRouter

from serve_app.limits import LimitedRoute
from serve_app.routes.live.events import ERRORS
from serve_app.schemas.live import LoggedResponse
from serve_app.schemas.requests import Id
from serve_app.service import RecommendationService


def router(service: RecommendationService) -> APIRouter:
    """The route, answered by the service's intake."""
    routes = APIRouter(route_class=LimitedRoute, tags=["events"])
    intake = service.intake
    assert intake is not None

    @routes.put("/users/{user_id:path}/follows/{other:path}", responses=ERRORS)
    async def follow(user_id: Id, other: Id) -> LoggedResponse:
        """From now on the user follows the other; where they do already, nothing is new. There is no way back."""
        return LoggedResponse.of(await intake.follow(user_id, other))

    return routes
