"""A reading: what a reader found in one review. Whatever a model says passes through here before anybody uses it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, Self, TypeVar, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

Intent = Literal["question", "complaint", "praise", "comparison"]
INTENTS: tuple[Intent, ...] = get_args(Intent)
Value = TypeVar("Value")
_Share = Annotated[float, Field(ge=0, le=1)]
_Word = Annotated[str, Field(min_length=1, max_length=80)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Span(_Said):
    """A verbatim part of the text, from character `start` to `end`, exclusive."""

    start: int = Field(ge=0)
    end: int

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"a span from {self.start} to {self.end}; expected its end behind its start")
        return self


class AspectSpan(_Span):
    """A quality that the text speaks of: the words it uses, what they are about, and how it is judged."""

    term: _Word
    category: _Word
    polarity: float = Field(ge=-1, le=1)  # 0: spoken of, wished for, and not judged


class AttributeSpan(_Span):
    """A fact about the product."""

    name: _Word
    value: _Word


class Reading(_Said):
    """What a reader found in one text; `sentiment` None with an `error` where it found nothing."""

    sentiment: float | None = Field(None, ge=-1, le=1)
    negative: _Share | None = None
    neutral: _Share | None = None
    positive: _Share | None = None
    aspects: tuple[AspectSpan, ...] = ()
    attributes: tuple[AttributeSpan, ...] = ()
    topics: tuple[_Word, ...] = ()
    key_phrases: tuple[_Word, ...] = ()
    intent: Intent | None = None
    language: str | None = None
    dropped: int = 0
    output_tokens: int = 0
    error: str | None = None


class WrittenProfile(_Said):
    """What a model wrote of the reviews of one user or item; nothing, with an `error`, where it came to no end."""

    liked: tuple[_Word, ...] = ()
    disliked: tuple[_Word, ...] = ()
    output_tokens: int = 0
    error: str | None = None


@dataclass(frozen=True)
class Readings(Generic[Value]):
    """What a reader made of n texts, or a model of profiles: what the job's actor commits."""

    values: tuple[Value, ...]
    n_tokens: npt.NDArray[np.int32]  # (n,) of the prompts

    @property
    def n_unknown(self) -> npt.NDArray[np.int32]:
        """(n,) zeros: a reader does not count what it does not know."""
        return np.zeros(len(self.values), np.int32)

    def usable(self) -> npt.NDArray[np.bool_]:
        """(n,) all: a reading that failed says so itself, and is not paid for twice."""
        return np.ones(len(self.values), np.bool_)

    def take(self, rows: npt.NDArray[np.intp]) -> Self:
        """Those of some texts, in that order."""
        return type(self)(tuple(self.values[row] for row in rows), self.n_tokens[rows])

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Those of all parts, one behind the other; one part at least."""
        return cls(tuple(v for part in parts for v in part.values), np.concatenate([p.n_tokens for p in parts]))


def verbatim(text: str, span: AspectSpan | AttributeSpan) -> bool:
    """Whether the text holds the span's words at its offsets."""
    words = span.term if isinstance(span, AspectSpan) else span.value
    return text[span.start : span.end] == words


def held_to(text: str, reading: Reading) -> Reading:
    """The reading without spans that the text does not hold; how many were dropped is counted."""
    aspects = tuple(a for a in reading.aspects if verbatim(text, a))
    attributes = tuple(a for a in reading.attributes if verbatim(text, a))
    lost = len(reading.aspects) + len(reading.attributes) - len(aspects) - len(attributes)
    changes: dict[str, Any] = {"aspects": aspects, "attributes": attributes, "dropped": reading.dropped + lost}
    return reading.model_copy(update=changes) if lost else reading
