"""GET /v1/items/{item_id}/similar."""

from typing import Annotated

from fastapi import APIRouter, Query

from serve_app.messages import By
from serve_app.schemas.answers import ErrorResponse, SimilarResponse, ranked
from serve_app.schemas.requests import Id
from serve_app.service import RecommendationService


def router(service: RecommendationService) -> APIRouter:
    """The route, answered by `service.similar`."""
    routes = APIRouter(tags=["similar"])
    not_found = {404: {"model": ErrorResponse, "description": "no such item"}}

    @routes.get("/items/{item_id:path}/similar", responses=not_found)  # type: ignore[arg-type]
    async def similar(
        item_id: Id,
        k: Annotated[int, Query(ge=1, le=service.config.max_k)] = 10,
        by: Annotated[By, Query(description="what is written of them and what they are, who took them, or both")] = (
            "behaviour"
        ),
    ) -> SimilarResponse:
        """Items nearest to one item: in the retriever's space, in that of words and attributes, or in both."""
        found = await service.similar(item_id, k, by)
        return SimilarResponse(bundle=found.provenance.bundle, item_id=item_id, items=ranked(found))

    return routes
