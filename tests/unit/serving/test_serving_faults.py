"""A part that is away, frozen or slow: what its calls cost, and what is done without it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from factories.serving import Faulty, Parts, fake_vector
from ray.exceptions import ActorDiedError
from starlette.testclient import TestClient

from serve_app.handles import HandleClient
from serve_app.messages import NotHeld, TextUse, WordsRead

Faults = list[Exception | Callable[[], Awaitable[None]]]


async def stall() -> None:
    await asyncio.sleep(60)


def with_faults(parts: Parts, config: dict[str, Any] | None = None, **faults: Faults) -> Parts:
    """`parts`, whose calls meet faults."""
    made = {name: Faulty(getattr(parts, name), faults[name]) if name in faults else getattr(parts, name)
            for name in ("encoder", "retriever", "ranker")}  # fmt: skip
    return Parts(parts.storage, **made, config=parts.config.model_copy(update=config or {}))


def recommend(parts: Parts, **request: Any) -> Any:
    with TestClient(parts.app()) as client:
        return client.post("/v1/recommend", json=request).json()


@pytest.mark.parametrize("part", ["retriever", "ranker"])
def test_a_frozen_replica_costs_a_time_out_and_not_the_answer(parts: Parts, client: TestClient, part: str) -> None:
    frozen = with_faults(parts, {"hop_timeout_s": 0.1, "request_timeout_s": 5}, **{part: [stall, stall]})
    started = time.monotonic()
    assert recommend(frozen, user_id="u1") == client.post("/v1/recommend", json={"user_id": "u1"}).json()
    assert 0.2 < time.monotonic() - started < 3


@pytest.mark.parametrize("fault", [stall, ActorDiedError()])
def test_without_the_encoder_a_newcomer_is_told_that_the_text_was_not_read(parts: Parts, fault: Any) -> None:
    away = {"config": {"text_timeout_s": 0.2}, "encoder": [fault] * 100}
    started = time.monotonic()
    answer = recommend(with_faults(parts, **away), text="a drum")
    assert (answer["basis"], answer["reason"], len(answer["items"])) == ("popularity", "encoder_unavailable", 10)
    liked = recommend(with_faults(parts, **away), text="a drum", liked_items=["i3"])
    assert (liked["basis"], liked["reason"]) == ("liked_items", "encoder_unavailable")
    assert time.monotonic() - started < 3


def test_a_known_user_never_waits_for_the_encoder(parts: Parts, client: TestClient) -> None:
    broken = with_faults(parts, encoder=[AssertionError("asked for a text that is not read")] * 100)
    expected = client.post("/v1/recommend", json={"user_id": "u1"}).json()
    assert recommend(broken, user_id="u1", text="a drum") | {"next": None} == expected | {"next": None}
    unknown = client.post("/v1/recommend", json={"user_id": "stranger", "text": "a drum"}).json()
    assert unknown["basis"] == "text"


def test_a_call_that_nobody_awaits_any_more_gives_its_place_back() -> None:
    cancelled = []

    class Response:
        def __await__(self) -> Any:
            return asyncio.sleep(60).__await__()

        def cancel(self) -> None:
            cancelled.append(self)

    class Handle:
        class retrieve:
            remote = staticmethod(Response)

    async def story() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await HandleClient(Handle).retrieve()

    asyncio.run(story())
    assert len(cancelled) == 1


def test_a_queue_that_is_full_is_ready_and_readiness_costs_one_question(parts: Parts) -> None:
    from ray.serve.exceptions import BackPressureError

    asked = 0

    async def count() -> None:
        nonlocal asked
        asked += 1

    full = with_faults(parts, ranker=[BackPressureError(9, 9)], encoder=[count] * 100)
    with TestClient(full.app()) as client:
        answers = [client.get("/readyz") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json()["checks"]["ranker"] == "busy"
    assert asked == 1


class Reads:
    """`part`, whose bundle has a reader that answers `read`."""

    def __init__(self, part: Any, read: Callable[[], Awaitable[WordsRead | NotHeld]]) -> None:
        self._part, self._read = part, read

    def __getattr__(self, method: str) -> Any:
        return getattr(self._part, method)

    async def text_use(self, *_: Any) -> TextUse:
        return "encode_and_read"

    async def read(self, *_: Any) -> Any:
        return await self._read()


async def an_engine() -> WordsRead:
    return WordsRead("generate", None)


async def too_new() -> NotHeld:
    return NotHeld("encoder other", ())


async def word_lists() -> WordsRead:
    return WordsRead("lexicon", fake_vector("anything"))


@pytest.mark.parametrize(
    ("read", "reason"),
    [(an_engine, "reader_not_served"), (too_new, "reader_unavailable"), (stall, "reader_unavailable"),
     (word_lists, None)],
)  # fmt: skip
def test_words_that_were_not_read_still_count_as_their_vector(
    parts: Parts, client: TestClient, read: Any, reason: str | None
) -> None:
    config = parts.config.model_copy(update={"text_timeout_s": 0.3})
    found = recommend(replace(parts, retriever=Reads(parts.retriever, read), config=config), text="a drum")
    expected = client.post("/v1/recommend", json={"text": "a drum"}).json()
    assert (found["basis"], found["reason"]) == ("text", reason) and found["items"] == expected["items"]
