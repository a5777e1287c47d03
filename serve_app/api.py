"""The HTTP API: every route behind the middlewares."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Lifespan

import llmrec
from serve_app import errors, limits
from serve_app.middleware.authentication import Authentication
from serve_app.middleware.keys import KeyRing
from serve_app.middleware.limits import RequestLimits
from serve_app.middleware.observation import Observation
from serve_app.middleware.scopes import STATIC
from serve_app.operator import Console
from serve_app.routes import encode, rank, recommend, search, similar
from serve_app.routes.live.events import router as events
from serve_app.routes.live.feedback import router as feedback
from serve_app.routes.live.items import router as items
from serve_app.routes.live.users import router as users
from serve_app.routes.operating import health, metrics, model
from serve_app.routes.operating.experiments import router as experiments
from serve_app.routes.operating.operator import router as operator_router
from serve_app.routes.page import files as page_files
from serve_app.routes.page import router as page_router
from serve_app.schemas.answers import ErrorResponse
from serve_app.service import RecommendationService

DESCRIPTION = """Recommendations from reviews. Start with `POST /v1/recommend`: `{"user_id": "…"}` for somebody known,
`{"text": "…"}` or `{"liked_items": ["…"]}` for somebody new. Every answer names the one `bundle` that made it."""
ROUTES = (recommend, search, rank, encode, similar, model)
#: Those that are there only where live events are on.
LIVE_ROUTES = (events, items, users)
#: Those that are there only where exposures are logged.
TRIAL_ROUTES = (feedback, experiments)

#: Errors that any route of /v1 may answer; 401 and 403 only where keys are set.
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": description}
    for status, description in (
        (400, "the body cannot be read"),
        (401, "no valid key"),
        (403, "the key's role does not reach"),
        (408, "the body arrived too slowly"),
        (413, "the body is too large"),
        (422, "fields are not as documented"),
        (429, "overloaded; see Retry-After"),
        (503, "replicas are being replaced; see Retry-After"),
        (504, "no answer in time"),
    )
}


def make_api(service: RecommendationService, keys: KeyRing | None = None, console: Console | None = None) -> FastAPI:
    """The whole application. `keys`: those that open it, None where none is wanted; `console`: with `/operator`."""
    app = FastAPIOffline(
        title="llmrec", version=llmrec.__version__, description=DESCRIPTION, redoc_url=None, static_url=STATIC,
        favicon_url="data:,", swagger_ui_parameters={"validatorUrl": None},
        lifespan=_lifespan(service),
    )  # fmt: skip
    table = app.state.limits = limits.limits(service.config)
    app.openapi = limits.documented(app.openapi, table)  # type: ignore[method-assign]
    errors.install(app)
    for open_or_operators in (health, metrics):
        app.include_router(open_or_operators.router(service))
    security = [Security(HTTPBearer(auto_error=False))] if keys else []
    optional = (*(LIVE_ROUTES if service.intake else ()), *(TRIAL_ROUTES if service.trials else ()))
    for router in (*(route.router for route in ROUTES), *optional):
        app.include_router(router(service), prefix="/v1", responses=ERRORS, dependencies=security)
    app.include_router(page_router(service, keys is not None))
    if console is not None:
        app.include_router(operator_router(service, console, keys is not None))
    app.router.routes.append(page_files())
    _wrap(app, service, keys)
    return app


def _lifespan(service: RecommendationService) -> Lifespan[FastAPI]:
    """What runs beside the requests."""

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for part in (service.intake, service.trials):
                if part is not None:
                    await stack.enter_async_context(part.lifespan(app))
            yield

    return running


def _wrap(app: FastAPI, service: RecommendationService, keys: KeyRing | None) -> None:
    """From the innermost to the outermost: each refuses before the ones inside it have cost anything."""
    app.add_middleware(RequestLimits, config=service.config, traffic=service.traffic)
    if keys:
        app.add_middleware(Authentication, keys=keys)
    if service.config.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=service.config.cors_origins, allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"], max_age=600,
        )  # fmt: skip
    app.add_middleware(Observation, metrics=service.metrics)
