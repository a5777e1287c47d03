"""GET /v1/experiments."""

from fastapi import APIRouter
from pydantic import Field

from serve_app.schemas.answers import ApiResponse
from serve_app.service import RecommendationService


class ExperimentsResponse(ApiResponse):
    """What runs, what was stopped and why, and what this process logged."""

    experiments: dict[str, dict[str, str | None]] = Field(
        description="experiment -> arm -> why it was stopped; null where it runs"
    )
    lists_logged: int = Field(description="by this process, since it started")
    lists_dropped: int = Field(description="that the disk did not take in time")


def router(service: RecommendationService) -> APIRouter:
    """The route, answered by the service's experiments."""
    routes = APIRouter(tags=["experiments"])
    trials = service.trials
    assert trials is not None

    @routes.get("/experiments")
    async def experiments() -> ExperimentsResponse:
        """The arms of each experiment, and which of them a guard stopped; `jobs.experiment` compares them."""
        log = trials.recorder
        return ExperimentsResponse(
            experiments=trials.describe(), lists_logged=log.logged, lists_dropped=log.dropped
        )  # fmt: skip

    return routes
