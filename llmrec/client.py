"""A small client of the server, for Python: `Client("http://127.0.0.1:8000").recommend("U0000151", k=5)`.

It needs httpx alone. Requests are repeated where the server says "later" (429 and 503, after Retry-After) or the
connection broke: all that it asks can be asked twice.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx

#: Statuses that pass by themselves; 502 and 504 come from gateways and from calls that took too long.
_PASSING = frozenset({429, 502, 503, 504})
#: The longest pause between two attempts, and the first where the server names none; it doubles.
_LONGEST_S, _FIRST_S = 30.0, 0.2
_WORKERS = 8


class ApiError(Exception):
    """An answer that is not 2xx. `code` is for programs; `details` name fields as {"code", "message", "where"}."""

    def __init__(self, status: int, code: str, message: str, details: Sequence[Mapping[str, Any]] = ()) -> None:
        where = "".join(f"; {d.get('where')}: {d.get('message')}" for d in details)
        super().__init__(f"{status} {code}: {message}{where}")
        self.status, self.code, self.details = status, code, tuple(details)


class _Answer:
    """Made from JSON, whatever else a newer server says beside it."""

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        return cls(**{f.name: answer[f.name] for f in fields(cls) if f.name in answer})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Item(_Answer):
    """One item of a list. `reasons`, where asked for: baseline, contributions, because (docs/reasons.md).

    `propensity`: where slots were drawn. `title`, `matched` and `highlights`: of `search`.
    """

    item_id: str
    rank: int
    score: float
    click_probability: float | None = None
    ratings: Mapping[str, float] | None = None
    outcomes: Mapping[str, float] | None = None  # of a ranker of many: docs/outcomes.md
    reasons: Mapping[str, Any] | None = None
    propensity: float | None = None
    title: str | None = None
    matched: Sequence[str] = ()
    highlights: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Items(_Answer):
    """A list, best first, and what it rests on."""

    bundle: str
    items: tuple[Item, ...]
    as_of: int | None = None  # ms UTC; none of `similar`
    basis: str = "item"
    reason: str | None = None
    unknown_items: Sequence[str] = ()
    understood: Mapping[str, Any] | None = None  # what of the request counted
    next: str | None = None  # `cursor` of the page that follows
    list_id: str | None = None  # for `feedback`, where the server logs lists
    arm: str | None = None  # EXPERIMENT/ARM

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        return super().of({**answer, "items": tuple(Item.of(item) for item in answer["items"])})

    @property
    def ids(self) -> list[str]:
        return [item.item_id for item in self.items]


class Client:
    """One server; its connections are kept, threads may share it. Close it, or use it as a context manager."""

    def __init__(
        self, url: str, key: str | None = None, *, timeout_s: float = 35, retries: int = 5,
        transport: httpx.BaseTransport | None = None, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        """`key`: sent as a bearer token. `timeout_s`: of one attempt. `retries`: attempts after the first."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout_s, transport=transport)
        self._retries, self._sleep = retries, sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def recommend(self, user_id: str | None = None, **request: Any) -> Items:
        """The best items: for a known user, or by `text=`, `liked_items=`; `k=`, `exclude=`, `context=`, `reasons=`.

        Also `recent_items=`, `disliked_items=`, `disliked_text=`, `like=`, `need=`, `diversity=`, `filters=`.
        """
        return Items.of(self.call("POST", "/v1/recommend", _given(user_id=user_id, **request)))

    def pages(self, user_id: str | None = None, **request: Any) -> Iterator[Items]:
        """`recommend`, page after page of `k=` items, as of one bundle and moment, while there are any.

        Raises ApiError 410 where that bundle is served no more: begin again.
        """
        page: Items | None = None
        while page is None or page.next is not None:
            page = self.recommend(user_id, **request, cursor=None if page is None else page.next)
            yield page

    def recommend_batch(self, requests: Sequence[Mapping[str, Any]]) -> list["Items | ApiError"]:
        """`recommend` for each, in order, in as few bodies as the server's limits allow; a refusal where one is."""
        most, found = self.model()["limits"]["requests.maxItems"], list[Items | ApiError]()
        for at in range(0, len(requests), most):
            body = {"requests": [_given(**request) for request in requests[at : at + most]]}
            for said in self.call("POST", "/v1/recommend/batch", body)["answers"]:
                refused = said["refused"]
                found.append(Items.of(said["answer"]) if refused is None else _refusal(said["status"], refused))
        return found

    def recommend_many(self, requests: Iterable[Mapping[str, Any]], workers: int = _WORKERS) -> Iterator[Items]:
        """`recommend` for each, in order, `workers` at a time; requests are the keyword arguments of `recommend`."""
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(lambda request: self.recommend(**request), requests)

    def rank(self, candidates: Sequence[str], user_id: str | None = None, **request: Any) -> Items:
        """The candidates in order, with probabilities of a click."""
        body = _given(candidates=list(candidates), user_id=user_id, **request)
        return Items.of(self.call("POST", "/v1/rank", body))

    def search(self, text: str, k: int = 10, **request: Any) -> Items:
        """Items by words; also `user_id=`, `filters=`."""
        return Items.of(self.call("POST", "/v1/search", _given(text=text, k=k, **request)))

    def events(self, events: Sequence[Mapping[str, Any]]) -> int:
        """Log any number of events, each with an `event_id` of the caller's; how many of them were new.

        Of each: `user_id`, `item_id`, `timestamp`; of a review `stars`, `text`; of another `kind` `value`, `session`.
        What was answered is kept; a broken call can be made again: an id counts once.
        """
        most = self.model()["limits"]["events.maxItems"]
        batches = (list(events[at : at + most]) for at in range(0, len(events), most))
        return sum(self.call("POST", "/v1/events", {"events": batch})["stored"] for batch in batches)

    def feedback(self, list_id: str, item_id: str, kind: str = "click") -> bool:
        """Say what somebody did with an item of a list (`Items.list_id`); whether that was new."""
        said = {"list_id": list_id, "item_id": item_id, "kind": kind}
        return bool(self.call("POST", "/v1/feedback", said)["stored"])

    def similar(self, item_id: str, k: int = 10, by: Literal["words", "behaviour", "both"] = "behaviour") -> Items:
        """Items near to one. Raises ApiError 404 where it is not known."""
        return Items.of(self.call("GET", f"/v1/items/{quote(item_id, safe='')}/similar?k={k}&by={by}"))

    def follow(self, user_id: str, other: str) -> bool:
        """Say that a user follows another from now on; whether that was new."""
        path = f"/v1/users/{quote(user_id, safe='')}/follows/{quote(other, safe='')}"
        return bool(self.call("PUT", path)["stored"])

    def put_item(self, item_id: str, **fields: Any) -> dict[str, Any]:
        """Say what an item is: `title=`, `brand=`, `categories=`, `description=`, `price=`, `attributes=`,
        `available=`, `available_from=`, `available_until=`."""
        return self.call("PUT", f"/v1/items/{quote(item_id, safe='')}", fields)

    def delete_item(self, item_id: str) -> dict[str, Any]:
        """Take an item out of every list."""
        return self.call("DELETE", f"/v1/items/{quote(item_id, safe='')}")

    def encode(self, texts: Sequence[str], kind: Literal["document", "query"] = "document") -> list[list[float]]:
        """Vectors of any number of texts, in order, in as few requests as the server's limits allow."""
        limits = self.model()["limits"]
        batches = _batches(texts, limits["texts.maxItems"], limits["texts.x-maxTotalLength"])
        answers = (self.call("POST", "/v1/encode", {"texts": batch, "kind": kind}) for batch in batches)
        return [vector for answer in answers for vector in answer["vectors"]]

    def model(self) -> dict[str, Any]:
        """What is served: bundle, as_of, encoder, users, items, card, limits."""
        return self.call("GET", "/v1/model")

    def ready(self) -> bool:
        """Whether every part can answer."""
        return self._http.get("/readyz").status_code == 200

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON that any route answers. Raises ApiError, or httpx.TransportError where nothing answers."""
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                answer = self._http.request(method, path, json=body)
            except httpx.TransportError:
                if last:
                    raise
                self._sleep(_pause(None, attempt))
                continue
            if answer.status_code not in _PASSING or last:
                break
            self._sleep(_pause(answer.headers.get("retry-after"), attempt))
        if not answer.is_success:
            raise _error(answer)
        found: dict[str, Any] = answer.json()
        return found


def _given(**request: Any) -> dict[str, Any]:
    return {name: value for name, value in request.items() if value is not None}


def _pause(retry_after: str | None, attempt: int) -> float:
    """Seconds until the next attempt: what the server says (seconds or a date), else doubling, with some chance."""
    if retry_after is not None and retry_after.isdigit():
        return min(float(retry_after), _LONGEST_S)
    if retry_after is not None:
        try:
            wait: float = (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
            return min(max(wait, 0.0), _LONGEST_S)
        except (ValueError, TypeError):
            pass
    return min(_FIRST_S * float(2**attempt), _LONGEST_S) * random.uniform(0.5, 1)


def _error(answer: httpx.Response) -> ApiError:
    """Serve's proxy, before the application, answers in plain text."""
    try:
        return _refusal(answer.status_code, answer.json())
    except (ValueError, KeyError, TypeError):
        return ApiError(answer.status_code, "error", answer.text[:200] or answer.reason_phrase)


def _refusal(status: int, body: Mapping[str, Any]) -> ApiError:
    return ApiError(status, body["error"]["code"], body["error"]["message"], body.get("details", ()))


def _batches(texts: Sequence[str], most: int, characters: int) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        if batch and (len(batch) == most or sum(map(len, batch)) + len(text) > characters):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch
