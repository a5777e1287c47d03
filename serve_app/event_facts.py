"""What comes in as facts for the log: fields are read as ingest reads them, and refused by name."""

import time
from collections.abc import Mapping
from typing import Any

from llmrec.config import CorpusConfig
from llmrec.config.data.events import REVIEW
from llmrec.corpus.formats.names import has_reviews
from llmrec.corpus.passes.event_rows import SEARCH, kind_name
from llmrec.corpus.values.clean import clean_text
from llmrec.corpus.values.errors import RowError
from llmrec.corpus.values.ids import parse_id, parse_label
from llmrec.corpus.values.numbers import FLOAT32_MAX
from llmrec.corpus.values.stars import StarScale, parse_stars
from llmrec.corpus.values.times import parse_timestamp
from llmrec.encoding import item_text
from llmrec.features.asof.logs.happened import Names, is_outcome
from llmrec.live.event_log import Fact
from llmrec.names import nearest
from serve_app.schemas.live import EventRequest, ItemRequest


class FieldError(ValueError):
    """A field `name` that cannot be read: a code for it, and what was expected."""

    def __init__(self, name: str, reason: str, expected: str) -> None:
        super().__init__(reason)
        self.name, self.reason, self.expected = name, reason, expected


class FactReader:
    """Reads requests by the rules of a corpus. Raises FieldError.

    `known`: what the features of the bundle that is served at the start know of.
    """

    def __init__(self, corpus: CorpusConfig, known: Names, max_ahead_s: float) -> None:
        self._corpus, self._known, self._ahead_s = corpus, known, max_ahead_s
        self._nothing = frozenset(word.lower() for word in corpus.missing)
        unrated = frozenset(v.strip().lower() if isinstance(v, str) else v for v in corpus.not_rated)
        self._scale = StarScale(corpus.stars_min, corpus.stars_max, unrated | self._nothing)
        reviews = (REVIEW,) * (has_reviews(corpus) or corpus.outcome.kind == REVIEW)
        merged = {kind for kind, policy in corpus.event_repeats.items() if policy != "keep"}
        self._merged, self._kinds = merged, (*reviews, *(kind for kind in known.kinds if kind not in merged))

    def event(self, request: EventRequest, now: int) -> Fact:
        """A review, or an event of another kind; `now` (ms) where it says no time."""
        kind = self._kind(request.kind)
        said = self._review(request) if kind == REVIEW else self._other(request, kind)
        when = None if request.timestamp is None else _read("timestamp", parse_timestamp, request.timestamp)
        if when is not None and when > now + 1000 * self._ahead_s:
            expected = f"expected a time at most {self._ahead_s:g} s ahead of now"
            raise FieldError("timestamp", "timestamp_in_future", expected)
        return Fact("event", request.event_id, said | {"time": when}, said | {"time": now if when is None else when})

    def follow(self, user_id: str, other: str) -> Fact:
        """Whom a user follows from now on; said again, it says nothing new."""
        if not self._known.relations:
            raise FieldError("other", "no_relations", "expected a corpus with `relations`: nothing reads this")
        user, followed = (self.id(name, value) for name, value in (("user_id", user_id), ("other", other)))
        if user == followed:
            raise FieldError("other", "self_relation", "expected somebody else")
        said = {"user": user, "followed": followed}
        return Fact("follow", f"{user}\t{followed}", said, said | {"time": int(time.time() * 1000)})

    def item(self, item_id: str, request: ItemRequest) -> Fact:
        """What an item is from now on."""
        title, brand, description, *categories = (
            self._clean(text) for text in (request.title, request.brand, request.description, *request.categories)
        )
        kept = list(dict.fromkeys(c for c in categories if c))
        words = item_text(title, brand, kept, description) or None
        begins, ends = _window(request)
        return self._of_item(item_id, {
            "title": title, "brand": brand, "categories": kept, "description": description, "price": request.price,
            "attributes": request.attributes, "words": words, "hidden": False,
            "available_from": begins, "available_until": ends,
        })  # fmt: skip

    def hidden(self, item_id: str) -> Fact:
        """An item that is in no list from now on."""
        return self._of_item(item_id, {"hidden": True})

    def _of_item(self, item_id: str, said: dict[str, Any]) -> Fact:
        return Fact("item", self.id("item_id", item_id), said, said | {"time": int(time.time() * 1000)})

    def id(self, name: str, value: str | None) -> str:
        found: str = _read(name, parse_id, value, name, self._nothing)
        return found

    def _kind(self, given: str | None) -> str:
        """The kind as it is called here; the outcome's where none is given."""
        if given is None:
            kind = self._corpus.outcome.kind
        else:
            kind = self._corpus.event_kinds.get(given.strip()) or kind_name(given.strip())
        if kind in self._merged:
            raise FieldError("kind", "merged_kind", f"expected a kind whose events stay apart: those of {kind} are "
                             "merged within a visit (corpus.event_repeats), which is for files alone")  # fmt: skip
        if kind not in self._kinds:
            near = f"; the nearest is {nearest(kind, self._kinds)}" if self._kinds else ""
            raise FieldError("kind", "unknown_kind", f"expected one of {', '.join(self._kinds)}{near}")
        return kind

    def _review(self, request: EventRequest) -> dict[str, Any]:
        _refuse(request, ("value", "session"), "a review has stars and text: expected none, or another `kind`")
        ids = {"user": self.id("user_id", request.user_id), "item": self.id("item_id", request.item_id)}
        stars = _read("stars", parse_stars, request.stars, self._scale)
        return ids | {"stars": stars, "words": self._clean(request.text)}

    def _other(self, request: EventRequest, kind: str) -> dict[str, Any]:
        _refuse(request, ("stars",), f"expected none: stars are a review's, this is a {kind}")
        optional = kind == SEARCH and request.item_id is None
        user, item = self.id("user_id", request.user_id), None if optional else self.id("item_id", request.item_id)
        least = self._corpus.outcome.at_least
        if request.value is not None and abs(request.value) > FLOAT32_MAX:
            raise FieldError("value", "bad_value", f"expected at most {FLOAT32_MAX:g}")
        if request.kind is None and not is_outcome(self._corpus.outcome, kind, request.value):
            raise FieldError(
                "value", "no_outcome", f"expected at least {least:g}, corpus.outcome's; or name the `kind`"
            )
        return {"kind": kind, "user": user, "item": item, "value": request.value,
                "session": parse_label(request.session), "text": self._clean(request.text)}  # fmt: skip

    def _clean(self, text: str | None) -> str | None:
        return clean_text(text, self._corpus.max_text_chars, self._corpus.normalise_text).text


def _refuse(request: EventRequest, names: tuple[str, ...], expected: str) -> None:
    for name in names:
        if getattr(request, name) is not None:
            raise FieldError(name, "not_of_this_kind", expected)


def _window(request: ItemRequest) -> tuple[int | None, int | None]:
    """From and until when (ms) an item may be listed; until 0 where it is not available."""
    begins, ends = (
        None if (told := getattr(request, name)) is None else _read(name, parse_timestamp, told)
        for name in ("available_from", "available_until")
    )
    if begins is not None and ends is not None and ends <= begins:
        raise FieldError("available_until", "ends_before_it_begins", "expected a time after available_from")
    return begins, ends if request.available else 0


def _read(name: str, parse: Any, *value: Any) -> Any:
    try:
        return parse(*value)
    except RowError as error:  # what was found is the caller's: it is not said
        raise FieldError(name, error.reason, "expected " + error.detail.rpartition("expected ")[2]) from None


def problem_fields(error: FieldError, where: str) -> Mapping[str, str]:
    """For a `Problem` of the answer."""
    return {"code": error.reason, "message": error.expected, "where": f"{where}.{error.name}"}
