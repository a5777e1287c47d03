"""What is refused before it costs anything: bad, large and slow bodies, too many requests."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from factories.serving import Faulty, Parts
from fastapi import FastAPI
from starlette.testclient import TestClient

from llmrec.config import ServingConfig
from serve_app.api import make_api
from serve_app.limits import parse
from serve_app.middleware import traffic
from serve_app.middleware.keys import KeyRing, parse_keys
from serve_app.service import RecommendationService

BAD: list[tuple[str, bytes]] = [
    ("/v1/recommend", b'{"user_id": 7}'),
    ("/v1/recommend", b'{"user": "u1"}'),
    ("/v1/recommend", b'{"user_id": ""}'),
    ("/v1/recommend", b'{"k": 0}'),
    ("/v1/recommend", b'{"k": 21}'),
    ("/v1/recommend", b'{"k": true}'),
    ("/v1/recommend", b'{"k": 1e999}'),
    ("/v1/recommend", b'{"k": "10"}'),
    ("/v1/recommend", b'{"text": "' + b"x" * 501 + b'"}'),
    ("/v1/recommend", json.dumps({"liked_items": ["a"] * 11}).encode()),
    ("/v1/recommend", json.dumps({"exclude": ["a"] * 31}).encode()),
    ("/v1/recommend", json.dumps({"user_id": "u" * 513}).encode()),
    ("/v1/recommend", b'{"context": {"device": 1}}'),
    ("/v1/recommend", b'{"context": {"": "web"}}'),
    ("/v1/recommend", json.dumps({"context": {f"c{n}": "x" for n in range(33)}}).encode()),
    ("/v1/rank", b'{"user_id": "u1"}'),
    ("/v1/rank", b'{"user_id": "u1", "candidates": []}'),
    ("/v1/rank", json.dumps({"candidates": ["a"] * 51}).encode()),
    ("/v1/encode", b'{"texts": [""]}'),
    ("/v1/encode", b'{"texts": ["a"], "kind": "secret"}'),
    ("/v1/encode", json.dumps({"texts": ["a"] * 5}).encode()),
    ("/v1/encode", json.dumps({"texts": ["a", "x" * 501]}).encode()),
    ("/v1/encode", json.dumps({"texts": ["x" * 400] * 3}).encode()),
    ("/v1/recommend", json.dumps({f"secret{n}": 1 for n in range(1000)}).encode()),
    ("/v1/recommend", b'{"context": {"secret": ["secret"]}}'),
    ("/v1/encode", b"[]"),
    ("/v1/encode", b"null"),
    ("/v1/encode", b""),
]


@pytest.mark.parametrize(("path", "body"), BAD)
def test_bad_requests_are_422_and_name_the_field_without_repeating_it(
    client: TestClient, path: str, body: bytes
) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["code"] == "invalid_request"
    assert all(detail["where"].startswith("body") for detail in answer.json()["details"])
    assert "secret" not in answer.text
    assert "xxx" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b'{"k": ' + b"9" * 5000 + b"}",
        b'{"user_id": "\xff"}',
        b'{"k": ' + b"[" * 40_000 + b"]" * 40_000 + b"}",
        b"{",
        b'{"user_id": "\\ud800"}',
        b'{"text": "\\udfff secret"}',
        b'{"\\ud800": 1}',
        b'{"k": NaN}',
    ],
)
def test_unreadable_bodies_are_400(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "🎻" * 250, "琴" * 500, "\u202e\u200b\ufeff", "'; DROP TABLE"])
def test_odd_texts_and_ids_are_answered(client: TestClient, text: str) -> None:
    for request in ({"text": text}, {"user_id": text}, {"liked_items": [text]}, {"exclude": [text]}):
        assert client.post("/v1/recommend", json=request).status_code == 200
    assert client.post("/v1/rank", json={"candidates": [text, "i1"]}).json()["unknown_items"] == [text]


def test_documented_limits_are_those_of_the_configuration(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    recommend, rank, encode = (schemas[f"{n}Request"]["properties"] for n in ("Recommend", "Rank", "Encode"))
    assert recommend["k"]["maximum"] == 20
    assert recommend["text"]["anyOf"][0]["maxLength"] == 500
    assert recommend["exclude"]["maxItems"] == 30
    assert rank["candidates"]["maxItems"] == 50
    assert encode["texts"]["maxItems"] == 4
    assert encode["texts"]["items"]["maxLength"] == 500
    assert encode["texts"]["x-maxTotalLength"] == 900


def test_a_large_body_is_413(client: TestClient) -> None:
    announced = client.post("/v1/recommend", content=b"x" * 100_001)
    streamed = client.post("/v1/recommend", content=iter([b"x" * 60_000] * 1000))
    for answer in (announced, streamed):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


#: Bodies of the largest size that cost the most: wrong members, numbers, empty lists, made-up fields, deep nesting.
COSTLY: dict[str, Callable[[int], bytes]] = {
    "wrong members": lambda n: b'{"liked_items": [' + b"1," * (n // 2 - 20) + b"1]}",
    "right members": lambda n: json.dumps({"liked_items": ["a"] * (n // 5 - 10)}).encode(),
    "fields": lambda n: json.dumps({f"{i:06d}": 1 for i in range(n // 13)}).encode(),
    "context": lambda n: json.dumps({"context": {f"{i:06d}": 1 for i in range(n // 13 - 9)}}).encode(),
    "texts": lambda n: b'{"texts": [' + b'"",' * (n // 3 - 20) + b"1]}",
    "empty lists": lambda n: b'{"exclude": [' + b"[]," * (n // 3 - 20) + b"1]}",
    "nested": lambda n: b'{"exclude": ' + b"[" * 100 + b"[]," * (n // 3 - 100) + b"1" + b"]" * 100 + b"}",
}


@pytest.mark.parametrize("kind", COSTLY)
def test_no_body_holds_the_event_loop(parts: Parts, kind: str) -> None:
    """In CPU time of the loop's thread, or beside parsing. An error a member costs 10 to 40 parsings."""
    app = Parts(parts.storage, parts.encoder, parts.retriever, parts.ranker, ServingConfig()).app()
    body = COSTLY[kind](ServingConfig().max_body_bytes)
    assert 0.9 * ServingConfig().max_body_bytes < len(body) <= ServingConfig().max_body_bytes
    path = "/v1/encode" if kind == "texts" else "/v1/recommend"

    async def cost() -> tuple[float, int]:
        await asgi(app, path, [body])  # routes and validators are built when they are first used
        started = time.thread_time()
        sent = await asgi(app, path, [body])
        return time.thread_time() - started, sent[0]["status"]

    costs = [asyncio.run(cost()) for _ in range(3)]
    assert {status for _, status in costs} == {422}
    parsing = min(_parse_time(body) for _ in range(3))
    assert min(seconds for seconds, _ in costs) < max(0.15, 6 * parsing), (costs, parsing)


def _parse_time(body: bytes) -> float:
    started = time.thread_time()
    parse(body)
    return time.thread_time() - started


async def asgi(
    app: FastAPI, path: str, chunks: list[bytes | None], headers: dict[str, str] | None = None, method: str = "POST"
) -> list[Any]:
    """What `app` sends to a client whose body comes in `chunks`; None is one that never comes."""
    sent: list[Any] = []
    waiting = list(chunks)

    async def receive() -> dict[str, Any]:
        chunk = waiting.pop(0) if waiting else None
        if chunk is None:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    lines = [(b"content-type", b"application/json"), *((k.encode(), v.encode()) for k, v in (headers or {}).items())]
    scope = {"type": "http", "method": method, "path": path, "headers": lines, "query_string": b"", "root_path": ""}
    await app(scope, receive, send)
    return [*sent, {"unread": len(waiting)}]


def test_a_large_body_is_not_read_to_its_end(parts: Parts) -> None:
    sent = asyncio.run(asgi(parts.app(), "/v1/recommend", [b"x" * 60_000] * 10))
    assert (sent[0]["status"], sent[-1]["unread"]) == (413, 8)


def test_a_slow_answer_is_504(parts: Parts) -> None:
    async def stall() -> None:
        await asyncio.sleep(60)

    slow = Parts(parts.storage, parts.encoder, Faulty(parts.retriever, [stall]), parts.ranker,
                 parts.config.model_copy(update={"request_timeout_s": 0.2}))  # fmt: skip
    with TestClient(slow.app()) as client:
        late = client.post("/v1/recommend", json={"user_id": "u1"})
        assert (late.status_code, late.json()["error"]["code"]) == (504, "timeout")


def test_hundreds_of_slow_bodies_keep_nobody_out(parts: Parts) -> None:
    app = parts.app()

    async def story() -> None:
        slow = [asyncio.create_task(asgi(app, "/v1/recommend", [b"{", None])) for _ in range(740)]
        await asyncio.sleep(0.05)
        started = time.monotonic()
        quick = await asgi(app, "/v1/recommend", [b'{"user_id": "u1"}'])
        health = await asgi(app, "/healthz", [None], method="GET")
        assert (quick[0]["status"], health[0]["status"]) == (200, 200)
        assert time.monotonic() - started < 5
        assert {answer[0]["status"] for answer in await asyncio.gather(*slow)} == {408}

    asyncio.run(story())


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/docs"])
def test_open_paths_read_no_body(parts: Parts, path: str) -> None:
    sent = asyncio.run(asgi(parts.app(), path, [b"x", None, None], method="GET"))
    assert (sent[0]["status"], sent[-1]["unread"]) == (200, 3)


def test_without_a_key_no_body_is_read(parts: Parts) -> None:
    app = parts.app(KeyRing(parse_keys("a-key-that-is-long-enough", "test")))
    sent = asyncio.run(asgi(app, "/v1/recommend", [b"x", None]))
    assert (sent[0]["status"], sent[-1]["unread"]) == (401, 2)


def test_bodies_that_fill_their_share_of_memory_are_refused_and_forgotten(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "BUFFERED_BODIES", 3)
    app = parts.app()

    async def story() -> list[int]:
        half = [b"x" * 99_000, None]
        waiting = [asyncio.create_task(asgi(app, "/v1/recommend", half)) for _ in range(5)]
        statuses = [answer[0]["status"] for answer in await asyncio.gather(*waiting)]
        again = await asgi(app, "/v1/recommend", [b'{"user_id": "u1"}'])
        return [*statuses, again[0]["status"]]

    *held, again = asyncio.run(story())
    assert sorted(held) == [408, 408, 408, 429, 429]
    assert again == 200


def stalled(parts: Parts, **limits: int) -> tuple[RecommendationService, asyncio.Event]:
    """A service whose retriever answers when the event is set."""
    gate = asyncio.Event()

    async def stall() -> None:
        await gate.wait()

    faults: list[Exception | Callable[[], Awaitable[None]]] = [stall] * 10
    config = parts.config.model_copy(update=limits | {"max_ongoing_requests": 1, "max_queued_requests": 1})
    return Parts(parts.storage, parts.encoder, Faulty(parts.retriever, faults), parts.ranker, config).service(), gate


def test_more_than_may_be_under_way_is_429_while_health_is_answered(parts: Parts) -> None:
    async def story() -> None:
        service, gate = stalled(parts)
        app = make_api(service)
        tasks = [asyncio.create_task(asgi(app, "/v1/recommend", [b'{"user_id": "u1"}'])) for _ in range(5)]
        await asyncio.sleep(0.1)
        health = await asgi(app, "/healthz", [b""], method="GET")
        assert (health[0]["status"], service.traffic.ongoing) == (200, 4)
        gate.set()
        assert sorted(answer[0]["status"] for answer in await asyncio.gather(*tasks)) == [200, 200, 200, 200, 429]
        assert service.traffic.ongoing == 0

    asyncio.run(story())


def test_one_key_cannot_take_every_place(parts: Parts) -> None:
    keys = KeyRing(parse_keys("greedy read aaaaaaaaaaaaaaaa; modest read bbbbbbbbbbbbbbbb", "test"))

    async def story() -> None:
        service, gate = stalled(parts, max_ongoing_per_key=2)
        app = make_api(service, keys)

        def ask(key: str) -> "asyncio.Task[list[Any]]":
            header = {"authorization": f"Bearer {key * 16}"}
            return asyncio.create_task(asgi(app, "/v1/recommend", [b'{"user_id": "u1"}'], header))

        greedy, modest = [ask("a") for _ in range(3)], ask("b")
        await asyncio.sleep(0.1)
        gate.set()
        assert sorted(answer[0]["status"] for answer in await asyncio.gather(*greedy)) == [200, 200, 429]
        assert (await modest)[0]["status"] == 200

    asyncio.run(story())


def test_a_draining_server_ends_what_it_began_and_takes_nothing_new(parts: Parts) -> None:
    async def story() -> None:
        service, gate = stalled(parts)
        app = make_api(service)
        begun = asyncio.create_task(asgi(app, "/v1/recommend", [b'{"user_id": "u1"}']))
        await asyncio.sleep(0.05)
        draining = asyncio.create_task(service.traffic.drain(5))
        await asyncio.sleep(0.05)
        late, ready = await asgi(app, "/v1/recommend", [b"{}"]), await asgi(app, "/readyz", [b""], method="GET")
        assert (late[0]["status"], ready[0]["status"], draining.done()) == (503, 503, False)
        gate.set()
        assert ((await begun)[0]["status"], await draining) == (200, 0)

    asyncio.run(story())
