"""Limits of requests that the configuration sets: one table that is both checked and written into the OpenAPI."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from llmrec.config import ServingConfig
from serve_app.errors import invalid_request
from serve_app.schemas import Problem

Keyword = Literal["maximum", "maxLength", "maxItems"]


@dataclass(frozen=True)
class Limit:
    """A field of that name, in every request model, is at most `value`."""

    field: str
    keyword: Keyword
    value: int
    of_each: bool = False  # of each member of the list

    def problem(self, request: BaseModel) -> Problem | None:
        """What is wrong with `request`, if it has the field."""
        found = getattr(request, self.field, None)
        values = found if self.of_each and isinstance(found, list) else [found]
        sizes = [value if isinstance(value, int) else len(value) for value in values if value is not None]
        if max(sizes, default=0) <= self.value:
            return None
        message = f"found {max(sizes)}, expected at most {self.value}"
        return Problem(code=self.keyword, message=message, where=f"body.{self.field}")

    def document(self, schema: dict[str, Any]) -> None:
        """Write the limit into the JSON schema of the field."""
        for part in (schema, *schema.get("anyOf", ())):
            target = part.get("items", {}) if self.of_each else part
            kind = {"maximum": "integer", "maxLength": "string", "maxItems": "array"}[self.keyword]
            if target.get("type") == kind:
                target[self.keyword] = self.value


def limits(config: ServingConfig) -> tuple[Limit, ...]:
    """The limits that `config` sets."""
    return (
        Limit("k", "maximum", config.max_k),
        Limit("text", "maxLength", config.max_text_chars),
        Limit("texts", "maxItems", config.max_texts),
        Limit("texts", "maxLength", config.max_text_chars, of_each=True),
        Limit("candidates", "maxItems", config.max_candidates),
        Limit("liked_items", "maxItems", config.max_liked),
        Limit("exclude", "maxItems", config.max_exclude),
    )


def check(request: BaseModel, table: tuple[Limit, ...]) -> None:
    """Raise ApiError 422 naming every field of `request` that is over its limit."""
    problems = tuple(p for limit in table if (p := limit.problem(request)) is not None)
    if problems:
        raise invalid_request(problems)


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
