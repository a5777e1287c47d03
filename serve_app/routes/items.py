"""DELETE and PUT /v1/items/{id}: an item is never recommended, or is again."""

from typing import Annotated

from fastapi import APIRouter, Path

from serve_app.live_schemas import LoggedResponse
from serve_app.routes.events import ERRORS
from serve_app.service import RecommendationService

ItemId = Annotated[str, Path(min_length=1, max_length=512)]


def router(service: RecommendationService) -> APIRouter:
    """The routes, answered by the service's intake."""
    routes = APIRouter(tags=["items"])
    intake = service.intake
    assert intake is not None

    @routes.delete("/items/{item_id:path}", responses=ERRORS)
    async def delete(item_id: ItemId) -> LoggedResponse:
        """From now on the item is in no list; what users did with it stays known."""
        return LoggedResponse.of(await intake.hide(item_id))

    return routes
