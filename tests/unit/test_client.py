"""The client against the application in this process and against a stub that is in trouble."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from factories.serving import SMALL, Parts, make_parts
from starlette.testclient import TestClient

from llmrec.client import ApiError, Client
from serve_app.middleware.keys import KeyRing, parse_keys

KEY = "0123456789abcdef"
LIST = {"bundle": "b", "as_of": 1, "basis": "history", "reason": None, "unknown_items": [], "later": "more",
        "items": [{"item_id": "i", "rank": 1, "score": 0.5, "new_field": 1}]}  # fmt: skip


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(str(tmp_path_factory.mktemp("client")), **SMALL)


def over(parts: Parts, key: str | None = None, asked: list[str] | None = None) -> Client:
    """A client of the application in this process, behind one key."""
    ring = KeyRing(parse_keys(f"me read {KEY}", "here"))
    return client_of(TestClient(parts.app(ring), raise_server_exceptions=False), key, asked)


def client_of(app: TestClient, key: str | None = None, asked: list[str] | None = None) -> Client:
    def handle(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request.url.path)
        answer = app.request(request.method, str(request.url), content=request.content, headers=dict(request.headers))
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)

    return Client("http://here/", key, transport=httpx.MockTransport(handle))


def test_each_method_asks_its_route(parts: Parts) -> None:
    with over(parts, KEY) as client:
        found = client.recommend("u3", k=4, exclude=["i1"], reasons=True)
        assert (found.bundle, found.basis, len(found.ids)) == ("first", "history", 4)
        assert found.items[0].reasons is not None and found.items[0].reasons["because"]
        assert client.recommend(text="small", liked_items=["i4"]).basis == "text_and_liked_items"
        ranked = client.rank(["i9", "i2", "nowhere"], "u3")
        assert set(ranked.ids) == {"i9", "i2"} and ranked.unknown_items == ["nowhere"]
        assert 0 < (ranked.items[0].click_probability or 0) < 1
        assert len(client.similar("i/with slash 琴", 3).items) == 3
        assert client.model()["bundle"] == "first" and client.ready()


def test_many_requests_come_back_in_order(parts: Parts) -> None:
    client = over(parts, KEY)
    users = [f"u{n}" for n in range(12)]
    found = list(client.recommend_many(({"user_id": user, "k": 3} for user in users), workers=4))
    assert [items.ids for items in found] == [client.recommend(user, k=3).ids for user in users]


def test_a_batch_and_pages_are_what_single_requests_are(parts: Parts) -> None:
    with over(parts, KEY) as client:
        requests = [{"user_id": f"u{n}", "k": 4} for n in range(40)] + [{"user_id": "u1", "k": 10_000}]
        found = client.recommend_batch(requests)
        assert [f.ids for f in found[:3] if not isinstance(f, ApiError)] == [client.recommend(f"u{n}", k=4).ids
                                                                            for n in range(3)]  # fmt: skip
        assert len(found) == 41 and isinstance(found[-1], ApiError) and found[-1].status == 422
        pages = list(client.pages("u1", k=6))
        listed = [item for page in pages for item in page.ids]
        assert len(pages) > 2 and listed[:20] == client.recommend("u1", k=20).ids and len(set(listed)) == len(listed)
        assert pages[1].items[0].rank == 7


def test_texts_are_encoded_in_batches_within_the_limits(parts: Parts) -> None:
    asked: list[str] = []
    client = over(parts, KEY, asked)
    texts = [*(f"text {n}" for n in range(9)), "x" * 480, "y" * 480]  # at most 4 texts, 900 characters
    vectors = client.encode(texts)
    assert len(vectors) == 11
    assert vectors[3] == pytest.approx(client.encode(["text 3"])[0], abs=1e-6)
    assert asked.count("/v1/encode") == 4 + 1
    assert client.encode([]) == []


def test_errors_have_the_servers_words(parts: Parts) -> None:
    with pytest.raises(ApiError, match="401 unauthorized") as refused:
        over(parts).recommend("u1")
    assert refused.value.status == 401
    with pytest.raises(ApiError, match="404 unknown_item"):
        over(parts, KEY).similar("nowhere")
    with pytest.raises(ApiError, match=r"422 invalid_request.*body\.k: found 1000, expected at most 20"):
        over(parts, KEY).recommend("u1", k=1000)


def stub(
    *answers: httpx.Response | Exception, retries: int = 3
) -> tuple[Client, list[float], Callable[[], int]]:  # fmt: skip
    """A client of a server that gives these answers in turn; its pauses; how often it was asked."""
    left, pauses, n = list(answers), list[float](), [0]

    def handle(_: httpx.Request) -> httpx.Response:
        n[0] += 1
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = Client("http://x", transport=httpx.MockTransport(handle), sleep=pauses.append, retries=retries)
    return client, pauses, lambda: n[0]


def answered(status: int, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_later_is_waited_for_as_the_server_says() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=9), usegmt=True)
    busy = answered(429, {"error": {"code": "overloaded", "message": "m"}}, retry_after="3")
    client, pauses, asked = stub(busy, answered(503, retry_after=date), answered(200, LIST))
    assert client.recommend("u").ids == ["i"]
    assert pauses[0] == 3 and 7 < pauses[1] <= 9 and asked() == 3


def test_a_broken_connection_is_tried_again_and_pauses_grow() -> None:
    broken = httpx.ConnectError("refused")
    client, pauses, _ = stub(broken, httpx.ReadTimeout("late"), answered(503), answered(200, LIST))
    assert client.recommend("u").items[0].score == 0.5
    assert all(0.1 * 2**n <= pause <= 0.2 * 2**n for n, pause in enumerate(pauses)) and len(pauses) == 3


def test_patience_ends_and_other_errors_are_not_repeated() -> None:
    client, pauses, asked = stub(*[answered(429, retry_after="1")] * 4)
    with pytest.raises(ApiError, match="429 error"):
        client.recommend("u")
    assert (asked(), pauses) == (4, [1, 1, 1])
    client, _, asked = stub(answered(422, {"error": {"code": "c", "message": "m"}, "details": []}))
    with pytest.raises(ApiError, match="422 c: m"):
        client.recommend("u")
    assert asked() == 1
    client, _, asked = stub(*[httpx.ConnectError("refused")] * 4)
    with pytest.raises(httpx.ConnectError):
        client.recommend("u")
    assert asked() == 4


def test_a_wait_that_no_caller_wants_is_cut() -> None:
    client, pauses, _ = stub(answered(503, retry_after="100000"), answered(200, LIST))
    client.recommend("u")
    assert pauses == [30]


def test_events_are_logged_in_batches_and_counted_once(tmp_path: Path) -> None:
    parts = make_parts(str(tmp_path), **SMALL | {"live": {"enabled": True, "max_batch": 40}})
    events = [{"event_id": f"e{n}", "user_id": "u1", "item_id": f"i{n % 9}", "stars": 4} for n in range(90)]
    asked: list[str] = []
    with TestClient(parts.app()) as app:
        client = client_of(app, asked=asked)
        assert client.events(events) == 90
        assert asked.count("/v1/events") == 3
        assert client.events(events[:5]) == 0


def test_feedback_names_the_list_that_was_shown() -> None:
    said: list[object] = []

    def handle(request: httpx.Request) -> httpx.Response:
        said.append((request.url.path, json.loads(request.content)))
        found = {"bundle": "b", "items": [], "list_id": "l1", "arm": "try/new"}
        return httpx.Response(200, json={"stored": 1} if request.url.path.endswith("feedback") else found)

    with Client("http://here/", transport=httpx.MockTransport(handle)) as client:
        found = client.recommend("u3")
        assert (found.list_id, found.arm) == ("l1", "try/new")
        assert client.feedback(found.list_id or "", "i7")
    assert said[1] == ("/v1/feedback", {"list_id": "l1", "item_id": "i7", "kind": "click"})
