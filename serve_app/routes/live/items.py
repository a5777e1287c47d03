"""PUT and DELETE /v1/items/{id}: what an item is from now on, or that it is in no list."""

from fastapi import APIRouter

from serve_app.limits import LimitedRoute
from serve_app.routes.live.events import ERRORS
from serve_app.schemas.live import ItemRequest, LoggedResponse
from serve_app.schemas.requests import Id
from serve_app.service import RecommendationService


def router(service: RecommendationService) -> APIRouter:
    """The routes, answered by the service's intake."""
    routes = APIRouter(route_class=LimitedRoute, tags=["items"])
    intake = service.intake
    assert intake is not None

    @routes.put("/items/{item_id:path}", responses=ERRORS)
    async def put(item_id: Id, request: ItemRequest) -> LoggedResponse:
        """A new item, which can be recommended at once, or other things to know of one; its words are encoded soon."""
        return LoggedResponse.of(await intake.put_item(item_id, request))

    @routes.delete("/items/{item_id:path}", responses=ERRORS)
    async def delete(item_id: Id) -> LoggedResponse:
        """From now on the item is in no list; what users did with it stays known."""
        return LoggedResponse.of(await intake.hide(item_id))

    return routes
