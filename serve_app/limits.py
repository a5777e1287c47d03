"""Limits of requests: one table, checked on the parsed JSON before any validation, and written into the OpenAPI.

Validation costs microseconds a member and an error for each wrong one; a length costs nothing.
"""

import gc
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic_core import from_json

from llmrec.config import ServingConfig
from serve_app.errors import invalid_request
from serve_app.schemas.answers import Problem
from serve_app.schemas.requests import MAX_CONTEXTS

Keyword = Literal["maximum", "maxLength", "maxItems", "maxProperties", "x-maxTotalLength"]
_TYPES: dict[Keyword, tuple[type, str]] = {
    "maximum": (int, "integer"), "maxLength": (str, "string"), "maxItems": (list, "array"),
    "maxProperties": (dict, "object"), "x-maxTotalLength": (list, "array"),
}  # fmt: skip
MAX_FIELDS = 32


@dataclass(frozen=True)
class Limit:
    """A field of that name, in every request model, is at most `value`."""

    field: str
    keyword: Keyword
    value: int
    of_each: bool = False  # of each member of the list

    def problem(self, body: dict[str, Any]) -> Problem | None:
        """What is wrong with the parsed `body`; wrong types are validation's to find."""
        size = self._size(body.get(self.field))
        if size <= self.value:
            return None
        message = f"found {size}, expected at most {self.value}"
        return Problem(code=self.keyword.removeprefix("x-"), message=message, where=f"body.{self.field}")

    def _size(self, found: Any) -> int:
        members: list[Any] = found if self.of_each and isinstance(found, list) else [found]
        of_type: list[Any] = [member for member in members if isinstance(member, _TYPES[self.keyword][0])]
        if self.keyword == "x-maxTotalLength":
            return sum(len(text) for texts in of_type for text in texts if isinstance(text, str))
        return max((m if isinstance(m, int) else len(m) for m in of_type), default=0)

    def document(self, schema: dict[str, Any]) -> None:
        """Write the limit into the JSON schema of the field."""
        for part in (schema, *schema.get("anyOf", ())):
            target = part.get("items", {}) if self.of_each else part
            if target.get("type") == _TYPES[self.keyword][1]:
                target[self.keyword] = self.value


def limits(config: ServingConfig) -> tuple[Limit, ...]:
    """The limits that `config` sets; lengths of lists come before what their members are."""
    return (
        Limit("k", "maximum", config.max_k),
        Limit("text", "maxLength", config.max_text_chars),
        Limit("texts", "maxItems", config.max_texts),
        Limit("texts", "maxLength", config.max_text_chars, of_each=True),
        Limit("texts", "x-maxTotalLength", config.max_encode_chars),
        Limit("candidates", "maxItems", config.max_candidates),
        Limit("liked_items", "maxItems", config.max_liked),
        Limit("recent_items", "maxItems", config.max_liked),
        Limit("disliked_items", "maxItems", config.max_liked),
        Limit("disliked_text", "maxLength", config.max_text_chars),
        Limit("requests", "maxItems", config.max_batch),
        Limit("exclude", "maxItems", config.max_exclude),
        Limit("allow_items", "maxItems", config.max_candidates),
        Limit("context", "maxProperties", MAX_CONTEXTS),
        Limit("events", "maxItems", config.live.max_batch),
    )


def check(body: Any, table: tuple[Limit, ...]) -> None:
    """Raise ApiError 422 naming every field of the parsed `body` that is over its limit."""
    if not isinstance(body, dict):
        return
    if len(body) > MAX_FIELDS:
        found = f"found {len(body)} fields, expected at most {MAX_FIELDS}"
        raise invalid_request((Problem(code="maxProperties", message=found, where="body"),))
    problems = tuple(p for limit in table if (p := limit.problem(body)) is not None)
    if problems:
        raise invalid_request(problems)


class _LimitedRequest(Request):
    """Its JSON is strict (no NaN, no lone surrogate, not deeply nested) and within the application's limits."""

    async def json(self) -> Any:
        body = parse(await self.body())
        check(body, self.app.state.limits)
        return body


def parse(body: bytes) -> Any:
    """JSON has no cycles: a hundred thousand new lists must not set the collector upon everything that is loaded."""
    gc.disable()
    try:
        return from_json(body, allow_inf_nan=False)
    finally:
        gc.enable()


class LimitedRoute(APIRoute):
    """A route whose body is checked against `app.state.limits` before it is validated."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def limited(request: Request) -> Response:
            return await handler(_LimitedRequest(request.scope, request.receive))

        return limited


def documented(openapi: Callable[[], dict[str, Any]], table: tuple[Limit, ...]) -> Callable[[], dict[str, Any]]:
    """`openapi`, its document's request models with the limits written into them."""

    def document() -> dict[str, Any]:
        written = openapi()
        for name, model in written["components"]["schemas"].items():
            for limit in table if name.endswith("Request") else ():
                if limit.field in model["properties"]:
                    limit.document(model["properties"][limit.field])
        return written

    return document
