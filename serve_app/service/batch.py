"""Many requests in one body: each is checked, answered or refused on its own."""

import asyncio
from typing import Any

from pydantic import ValidationError

from serve_app import limits
from serve_app.errors import ApiError, invalid_request, problem_of
from serve_app.schemas.answers import BatchAnswer, ItemsResponse, Problem
from serve_app.schemas.requests import RecommendRequest
from serve_app.service.flow import RecommendationService

#: Requests of a batch under way at once, so that one body takes no more of the deployments than a few clients do.
AT_ONCE = 4


async def recommend_many(service: RecommendationService, bodies: list[dict[str, Any]]) -> list[BatchAnswer]:
    """Answers in order; `where` of an error is a path in its own request."""
    table, slots = limits.limits(service.config), asyncio.Semaphore(AT_ONCE)

    async def one(body: dict[str, Any]) -> BatchAnswer:
        async with slots:
            try:
                return BatchAnswer(answer=ItemsResponse.of(await service.asked(_checked(body, table))))
            except ApiError as error:
                return BatchAnswer(status=error.status_code, refused=error.answer)

    return await asyncio.gather(*map(one, bodies))


def _checked(body: dict[str, Any], table: tuple[limits.Limit, ...]) -> RecommendRequest:
    limits.check(body, table)
    try:
        return RecommendRequest.model_validate(body)
    except ValidationError as error:
        details = problem_of(error).answer.details
        named = (Problem(code=d.code, message=d.message, where=f"body.{d.where}".rstrip(".")) for d in details)
        raise invalid_request(tuple(named)) from None
