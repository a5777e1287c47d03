"""GET /operator and POST /operate: bundles, figures, events and experiments for whoever runs the server."""

import asyncio
import logging
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from serve_app.errors import ApiError
from serve_app.middleware.scopes import client_of
from serve_app.operator import Console, OperatorView, look
from serve_app.page.render import HEADERS, operator_page
from serve_app.service import RecommendationService

logger = logging.getLogger("ray.serve.llmrec")
MAX_FIELDS = 8


def router(service: RecommendationService, console: Console, keys: bool) -> APIRouter:
    """The routes. With `keys` nothing is shown before one that may all was sent."""
    routes, one_at_a_time = APIRouter(include_in_schema=False), asyncio.Lock()

    @routes.get("/operator")
    async def form() -> HTMLResponse:
        """All of it, or the field for a key."""
        view = OperatorView(keys=True) if keys else await look(service, console, keys)
        return HTMLResponse(operator_page(view), headers=HEADERS)

    @routes.post("/operate")
    async def asked(request: Request) -> HTMLResponse:
        """The state after what was asked for: `look`, `activate:BUNDLE` or `roll back`."""
        _refuse_other_pages(request)
        try:
            fields = dict(parse_qsl((await request.body()).decode(), max_num_fields=MAX_FIELDS))
        except ValueError as error:
            raise ApiError(400, "bad_request", "the form cannot be read") from error
        async with one_at_a_time:
            done, problem = await _act(console, fields.get("act", "look"), client_of(request.scope))
        view = replace(await look(service, console, keys), done=done, problem=problem)
        return HTMLResponse(operator_page(view), 200 if problem is None else 422, headers=HEADERS)

    return routes


async def _act(console: Console, act: str, who: str | None) -> tuple[str | None, str | None]:
    """What was done, or why it was not, in words."""
    what, _, bundle = act.partition(":")
    try:
        if what == "activate":
            now = await asyncio.to_thread(console.activate, bundle)
        elif what == "roll back":
            now = await asyncio.to_thread(console.roll_back)
        else:
            return None, None
    except (ValueError, OSError) as error:  # what serves serves on
        logger.error("operator %s: %s refused: %s", who, what, error)
        return None, str(error)
    logger.warning("operator %s: %s: CURRENT names bundle %s", who, what, now)
    return f"CURRENT names bundle {now}; replicas take it within a moment, once it has answered.", None


def _refuse_other_pages(request: Request) -> None:
    """Without keys a form of another site could be sent by a visitor's browser; browsers say where a form comes from.

    Raises ApiError 403.
    """
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ApiError(403, "forbidden", "this form belongs to another page; expected one of this server")
