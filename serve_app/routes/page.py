"""GET / and POST /page: for people. The first shows a form and nothing else; the second asks the service."""

from collections.abc import Iterable
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic import ValidationError
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from serve_app import limits
from serve_app.errors import ApiError, problem_of
from serve_app.messages import ItemCard, RankedItems
from serve_app.middleware.scopes import PAGE_STATIC
from serve_app.page.render import HEADERS, STATIC_FOLDER, Found, PageView, Searched, page
from serve_app.page.state import SHOWN, PageState
from serve_app.schemas.requests import RecommendRequest, SearchRequest
from serve_app.service import RecommendationService


def files() -> Mount:
    """Style and script, open to everybody."""
    return Mount(PAGE_STATIC, StaticFiles(directory=STATIC_FOLDER), name="page-static")


def router(service: RecommendationService, keys: bool) -> APIRouter:
    """The routes. `keys`: whether the server wants one, so that nothing may be shown before it was sent."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def form() -> HTMLResponse:
        """The empty form."""
        view = PageView(keys=keys) if keys else await _around(service, PageState(), keys)
        return HTMLResponse(page(view), headers=HEADERS)

    @routes.post("/page")
    async def asked(request: Request) -> HTMLResponse:
        """The form with what it asked for."""
        try:
            state = PageState.parse(await request.body())
        except (ValueError, TypeError) as error:
            raise ApiError(400, "bad_request", "the form cannot be read") from error
        view = await _answer(service, state, request.app.state.limits, keys)
        return HTMLResponse(page(view), 200 if view.problem is None else 422, headers=HEADERS)

    return routes


async def _around(service: RecommendationService, state: PageState, keys: bool) -> PageView:
    """What stands around every list."""
    model, users = await service.overview.bundle(), await service.overview.some_users()
    return PageView(state, model=model, users=tuple(users), keys=keys)


async def _answer(
    service: RecommendationService, state: PageState, table: tuple[limits.Limit, ...], keys: bool
) -> PageView:
    """Raises ApiError where the service does; what the visitor can mend is told on the page."""
    view = await _around(service, state, keys)
    try:
        limits.check(state.request(), table)
        asked = RecommendRequest.model_validate(state.request())
        ranked = await service.asked(asked)
        found = await _found(service, ranked, [*state.liked, *state.excluded])
        searched = await _searched(service, state, table)
        similar = None
        if state.similar:
            near = await service.similar(state.similar, SHOWN)
            similar = await _found(service, near, [state.similar])
    except ValidationError as error:
        return _told(view, problem_of(error))
    except ApiError as error:  # 404: no such item, or nothing to search in
        if error.status_code not in (404, 422):
            raise
        return _told(view, error)
    return PageView(**vars(view) | {"found": found, "similar": similar, "searched": searched})


def _told(view: PageView, error: ApiError) -> PageView:
    details = "; ".join(f"{d.where}: {d.message}" for d in error.answer.details)
    return PageView(**vars(view) | {"problem": details or error.answer.error.message})


async def _searched(
    service: RecommendationService, state: PageState, table: tuple[limits.Limit, ...]
) -> Searched | None:
    """What the words that were sought found, less what is not wanted; a known user's taste is one more list."""
    if not state.query:
        return None
    asked = {"text": state.query, "k": SHOWN} | ({"user_id": state.user_id} if state.user_id else {})
    limits.check(asked, table)
    found = await service.search(SearchRequest.model_validate(asked))
    found = replace(found, items=tuple(i for i in found.items if i.item_id not in state.excluded))
    cards: list[ItemCard] = await service.cards([item.item_id for item in found.items])
    return Searched(found, {card.item_id: card for card in cards})


async def _found(service: RecommendationService, ranked: RankedItems, also: Iterable[str]) -> Found:
    named = (b.item_id for reasons in ranked.reasons for b in reasons.because if b.item_id)
    ids = list(dict.fromkeys([*ranked.item_ids, *(ranked.without_text or ()), *also, *named]))
    cards: list[ItemCard] = await service.cards(ids)
    return Found(ranked, {card.item_id: card for card in cards})
