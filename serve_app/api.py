"""The HTTP API: every route behind the middlewares."""

from typing import Any

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.types import ASGIApp

import llmrec
from serve_app import errors, limits
from serve_app.middleware.request_limits import RequestLimits
from serve_app.routes import encode, health, model, rank, recommend, similar
from serve_app.schemas import ErrorResponse
from serve_app.service import RecommendationService

DESCRIPTION = """Recommendations from reviews. Start with `POST /v1/recommend`: `{"user_id": "…"}` for somebody known,
`{"text": "…"}` or `{"liked_items": ["…"]}` for somebody new. Every answer names the one `bundle` that made it.
(This page loads Swagger UI from a public CDN; `/openapi.json` needs no network.)"""
ROUTES = (recommend, rank, encode, similar, model)

#: Errors that any route of /v1 may answer; 401 only where a key is set.
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": description}
    for status, description in (
        (400, "the body cannot be read"),
        (401, "no valid key"),
        (408, "the body arrived too slowly"),
        (413, "the body is too large"),
        (422, "fields are not as documented"),
        (429, "overloaded; see Retry-After"),
        (503, "replicas are being replaced; see Retry-After"),
        (504, "no answer in time"),
    )
}


def make_api(service: RecommendationService, digest: bytes | None = None) -> ASGIApp:
    """The whole application. `digest` is that of the key, None where none is wanted."""
    app = FastAPI(title="llmrec", version=llmrec.__version__, description=DESCRIPTION, redoc_url=None)
    app.openapi = limits.documented(app.openapi, limits.limits(service.config))  # type: ignore[method-assign]
    errors.install(app)
    app.include_router(health.router(service))
    key = [Security(HTTPBearer(auto_error=False))] if digest else []
    for route in ROUTES:
        app.include_router(route.router(service), prefix="/v1", responses=ERRORS, dependencies=key)
    return RequestLimits(app, service.config.max_body_bytes, service.config.request_timeout_s, digest)
