"""POST /v1/encode."""

from fastapi import APIRouter

from serve_app.limits import LimitedRoute
from serve_app.schemas.answers import EncodeResponse
from serve_app.schemas.requests import EncodeRequest
from serve_app.service import RecommendationService


def router(service: RecommendationService) -> APIRouter:
    """The route, answered by `service.encode`."""
    routes = APIRouter(route_class=LimitedRoute, tags=["encode"])

    @routes.post("/encode")
    async def encode(request: EncodeRequest) -> EncodeResponse:
        """Vectors of texts, by the encoder that the corpus was encoded with."""
        found = await service.encode(request.texts, request.kind)
        return EncodeResponse(
            encoder=found.encoder, dim=found.vectors.shape[1], vectors=found.vectors.tolist(),
            n_tokens=found.n_tokens, n_unknown=found.n_unknown,
        )  # fmt: skip

    return routes
