"""The HTTP API: routes that check a request, ask the engine and shape the answer."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp

import llmrec
from llmrec.config import ServingConfig
from serve_app import errors, limits
from serve_app.messages import Listed
from serve_app.request_limits import RequestLimits
from serve_app.schemas import (
    EncodeAnswer,
    EncodeRequest,
    ErrorAnswer,
    HealthAnswer,
    ItemsAnswer,
    ModelAnswer,
    RankedItem,
    RankRequest,
    ReadyAnswer,
    RecommendRequest,
    SimilarAnswer,
)
from serve_app.service import RecommendationService

DESCRIPTION = """Recommendations from reviews. Start with `POST /v1/recommend`: `{"user_id": "…"}` for somebody known,
`{"text": "…"}` or `{"liked_items": ["…"]}` for somebody new. Every answer names the one `bundle` that made it.
(This page loads Swagger UI from a public CDN; `/openapi.json` needs no network.)"""

#: Errors that any route of /v1 may answer; 401 only where a key is set.
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorAnswer, "description": "the body cannot be read"},
    401: {"model": ErrorAnswer, "description": "no valid key"},
    408: {"model": ErrorAnswer, "description": "the body arrived too slowly"},
    413: {"model": ErrorAnswer, "description": "the body is too large"},
    422: {"model": ErrorAnswer, "description": "fields are not as documented"},
    429: {"model": ErrorAnswer, "description": "overloaded; see Retry-After"},
    503: {"model": ErrorAnswer, "description": "replicas are being replaced; see Retry-After"},
    504: {"model": ErrorAnswer, "description": "no answer in time"},
}
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": ErrorAnswer, "description": "no such item"}}


def make_api(engine: RecommendationService, digest: bytes | None = None) -> ASGIApp:
    """The whole application: routes behind the guard. `digest` is that of the key, None where none is wanted."""
    app = FastAPI(title="llmrec", version=llmrec.__version__, description=DESCRIPTION, redoc_url=None)
    app.openapi = _documented(app.openapi, engine.config)  # type: ignore[method-assign]
    errors.install(app)
    app.include_router(_health(engine))
    key = [Security(HTTPBearer(auto_error=False))] if digest else []
    for router in (_recommending(engine), _looking(engine)):
        app.include_router(router, prefix="/v1", responses=ERRORS, dependencies=key)
    return RequestLimits(app, engine.config.max_body_bytes, engine.config.request_timeout_s, digest)


def _recommending(engine: RecommendationService) -> APIRouter:
    router, table = APIRouter(tags=["recommend"]), limits.limits(engine.config)

    @router.post("/recommend")
    async def recommend(request: RecommendRequest) -> ItemsAnswer:
        """The best items for somebody known, or for somebody new who is described by words or by liked items."""
        limits.check(request, table)
        return _items_answer(await engine.recommend(request, request.k, request.exclude))

    @router.post("/rank")
    async def rank(request: RankRequest) -> ItemsAnswer:
        """The candidates in order of the probability of a click; those the bundle does not know are named."""
        limits.check(request, table)
        return _items_answer(await engine.rank(request, request.candidates))

    @router.post("/encode")
    async def encode(request: EncodeRequest) -> EncodeAnswer:
        """Vectors of texts, by the encoder that the corpus was encoded with."""
        limits.check(request, table)
        found = await engine.encode(request.texts, request.kind)
        return EncodeAnswer(
            encoder=found.encoder, dim=found.vectors.shape[1], vectors=found.vectors.tolist(),
            n_tokens=found.n_tokens, n_unknown=found.n_unknown,
        )  # fmt: skip

    return router


def _looking(engine: RecommendationService) -> APIRouter:
    router, table = APIRouter(tags=["look"]), limits.limits(engine.config)

    @router.get("/items/{item_id:path}/similar", responses=NOT_FOUND)
    async def similar(
        item_id: Annotated[str, Path(min_length=1, max_length=512)],
        k: Annotated[int, Query(ge=1, le=engine.config.max_k)] = 10,
    ) -> SimilarAnswer:
        """Items nearest to one item in the retriever's space."""
        found = await engine.similar(item_id, k)
        return SimilarAnswer(bundle=found.grounds.bundle, item_id=item_id, items=_ranked(found))

    @router.get("/model")
    async def model() -> ModelAnswer:
        """What is being served, and how it was made."""
        found = await engine.describe()
        return ModelAnswer(**vars(found), limits={f"{m.field}.{m.keyword}": m.value for m in table})

    return router


def _health(engine: RecommendationService) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> HealthAnswer:
        """The process lives."""
        return HealthAnswer()

    @router.get("/readyz", responses={503: {"model": ReadyAnswer, "description": "a part is not ready"}})
    async def readyz() -> JSONResponse:
        """Encoder, retriever and ranker answer; a bundle is loaded."""
        checks = await engine.ready()
        ready = all(state == "ok" for state in checks.values())
        return JSONResponse(ReadyAnswer(ready=ready, checks=checks).model_dump(), 200 if ready else 503)

    return router


def _items_answer(found: Listed) -> ItemsAnswer:
    grounds = found.grounds
    return ItemsAnswer(
        bundle=grounds.bundle, as_of=grounds.as_of, basis=grounds.basis, reason=grounds.reason, items=_ranked(found),
        unknown_items=list(grounds.unknown),
    )  # fmt: skip


def _ranked(found: Listed) -> list[RankedItem]:
    columns = zip(found.item_ids, found.scores, strict=True)
    return [RankedItem(item_id=item, rank=rank, score=score) for rank, (item, score) in enumerate(columns, 1)]


def _documented(openapi: Callable[[], dict[str, Any]], config: ServingConfig) -> Callable[[], dict[str, Any]]:
    def documented() -> dict[str, Any]:
        document = openapi()
        limits.document(document, limits.limits(config))
        return document

    return documented
