"""POST /v1/feedback."""

import time

from fastapi import APIRouter
from pydantic import Field

from llmrec.exposures import Said
from serve_app.limits import LimitedRoute
from serve_app.schemas.answers import ApiResponse
from serve_app.schemas.requests import ApiRequest, Id
from serve_app.service import RecommendationService


class FeedbackRequest(ApiRequest):
    """What somebody did with an item of a list. A purchase is an event: POST /v1/events finds its list by itself."""

    list_id: Id = Field(description="of the answer of /v1/recommend")
    item_id: Id
    kind: str = Field("click", pattern=r"^[a-z][a-z0-9_]{0,31}$", description="what they did")


class FeedbackResponse(ApiResponse):
    """On the disk when you read this."""

    stored: int = Field(description="1; 0 where it was there already")


def router(service: RecommendationService) -> APIRouter:
    """The route, answered by the service's recorder."""
    routes = APIRouter(route_class=LimitedRoute, tags=["experiments"])
    trials = service.trials
    assert trials is not None

    @routes.post("/feedback")
    async def feedback(request: FeedbackRequest) -> FeedbackResponse:
        """Log what somebody did with an item of a list, once a list, item and kind; it joins the list in a moment."""
        said = Said(request.list_id, request.item_id, request.kind, int(time.time() * 1000))
        return FeedbackResponse(stored=await trials.recorder.say(said))

    return routes
