"""The HTTP API in this process: answers, refusals, limits, the key, timeouts."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.serving import Faulty, Parts, fake_vector, make_parts
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import BackPressureError
from starlette.testclient import TestClient

from llmrec.bundle import Bundle
from llmrec.recommender import Recommender
from serve_app.middleware.request_limits import key_digest

SMALL = {"max_body_bytes": 100_000, "max_text_chars": 500, "max_candidates": 50, "max_k": 20, "max_texts": 4,
         "max_liked": 10, "max_exclude": 30, "request_timeout_s": 2, "retrieve": 20}  # fmt: skip


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(str(tmp_path_factory.mktemp("serving")), **SMALL)


@pytest.fixture(scope="module")
def client(parts: Parts) -> Iterator[TestClient]:
    with TestClient(parts.app(), raise_server_exceptions=False) as client:
        yield client


def offline(parts: Parts) -> Recommender:
    return Recommender(Bundle.load(f"{parts.storage.root}/bundle/first"), retrieve=SMALL["retrieve"])


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_known_user_gets_what_the_recommender_says_offline(client: TestClient, parts: Parts) -> None:
    recommender = offline(parts)
    now = np.array([recommender.bundle.last_time])
    for user in ("u0", "u7", "u29"):
        state = recommender.history.users_at(recommender.history.user_rows([user]), now)
        rows, scores = recommender.recommend(state, now, 10)
        answer = client.post("/v1/recommend", json={"user_id": user, "k": 10}).json()
        assert ids(answer) == [recommender.history.item_ids[row] for row in rows[0]]
        np.testing.assert_allclose([item["score"] for item in answer["items"]], scores[0], rtol=1e-6)
        assert [item["rank"] for item in answer["items"]] == list(range(1, 11))
        assert (answer["bundle"], answer["basis"], answer["reason"]) == ("first", "history", None)
        assert answer["as_of"] == now[0]
        assert not set(ids(answer)) & {recommender.history.item_ids[r] for r in recommender.history.seen(
            int(state.rows[0]), int(now[0]))}  # fmt: skip


def test_words_and_likes_of_somebody_new_give_the_guest_of_the_recommender(client: TestClient, parts: Parts) -> None:
    recommender = offline(parts)
    history, time = recommender.history, recommender.bundle.last_time
    guest = history.guest(history.item_rows(["i3", "i5"]), fake_vector("strings for my violin"), time)
    rows, _ = recommender.recommend(guest, np.array([time]), 10)
    request = {"text": "strings for my violin", "liked_items": ["i3", "nowhere", "i5"]}
    answer = client.post("/v1/recommend", json=request).json()
    assert ids(answer) == [history.item_ids[row] for row in rows[0]]
    assert answer["basis"] == "text_and_liked_items"
    assert answer["unknown_items"] == ["nowhere"]
    assert not {"i3", "i5"} & set(ids(answer))


def test_two_wishes_get_two_answers(client: TestClient) -> None:
    answers = [client.post("/v1/recommend", json={"text": text}).json() for text in ("a drum", "einen Bogen")]
    assert all(answer["basis"] == "text" for answer in answers)
    assert ids(answers[0]) != ids(answers[1])


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({}, "nothing_given"),
        ({"user_id": "stranger"}, "unknown_user"),
        ({"liked_items": ["nowhere"]}, "unknown_liked_items"),
        ({"text": "  \n"}, "nothing_given"),
    ],
)
def test_nobody_known_gets_what_is_popular_and_is_told_why(
    client: TestClient, parts: Parts, request_: dict[str, Any], reason: str
) -> None:
    answer = client.post("/v1/recommend", json=request_).json()
    assert (answer["basis"], answer["reason"]) == ("popularity", reason)
    recommender = offline(parts)
    counts = np.bincount(recommender.history.data.item_rows, minlength=len(recommender.history.item_ids))
    found = counts[recommender.history.item_rows(ids(answer))]
    assert len(found) == 10
    assert list(found) == sorted(counts[1:], reverse=True)[:10]


def test_excluded_items_do_not_come_back_and_k_bounds_the_list(client: TestClient) -> None:
    unwanted = ["nowhere"]
    for _ in range(5):
        answer = client.post("/v1/recommend", json={"user_id": "u1", "k": 5, "exclude": unwanted}).json()
        assert len(ids(answer)) == 5
        assert not set(unwanted) & set(ids(answer))
        unwanted += ids(answer)
    exhausted = client.post("/v1/recommend", json={"user_id": "u1", "exclude": [f"i{n}" for n in range(30)]}).json()
    assert {*ids(exhausted)} <= {*(f"i{n}" for n in range(30, 39)), "i/with slash 琴"}


def test_rank_orders_candidates_by_click_probability_and_names_the_unknown(client: TestClient, parts: Parts) -> None:
    candidates = ["i9", "nowhere", "i2", "i/with slash 琴", "i2"]
    answer = client.post("/v1/rank", json={"user_id": "u4", "candidates": candidates}).json()
    recommender = offline(parts)
    history, time = recommender.history, recommender.bundle.last_time
    state = history.users_at(history.user_rows(["u4"]), np.array([time]))
    known = ["i9", "i2", "i/with slash 琴"]
    expected = dict(zip(known, recommender.rank(state, history.item_rows(known), time), strict=True))
    assert ids(answer) == sorted(known, key=lambda item: -expected[item])
    assert [i["score"] for i in answer["items"]] == pytest.approx(sorted(expected.values(), reverse=True), rel=1e-5)
    assert answer["unknown_items"] == ["nowhere"]


def test_the_context_of_a_request_is_that_of_the_recommender(client: TestClient, parts: Parts) -> None:
    recommender = offline(parts)
    history, time = recommender.history, recommender.bundle.last_time
    answers = []
    for context in ({"device": "web"}, {"device": "mobile"}, {"device": "fridge", "unheard": "of"}, {}):
        request = {"user_id": "u4", "candidates": ["i9", "i2", "i5"], "context": context}
        answer = client.post("/v1/rank", json=request).json()
        state = history.users_at(history.user_rows(["u4"]), np.array([time]), history.request_contexts(context))
        expected = recommender.rank(state, history.item_rows(ids(answer)), time)
        np.testing.assert_allclose([item["score"] for item in answer["items"]], expected, rtol=1e-5)
        answers.append([item["score"] for item in answer["items"]])
    assert answers[2] == answers[3] != answers[0] != answers[1]
    liked = {"liked_items": ["i3"], "candidates": ["i9"]}
    scores = {d: client.post("/v1/rank", json=liked | {"context": {"device": d}}).json() for d in ("web", "mobile")}
    assert scores["web"]["items"] != scores["mobile"]["items"]


def test_rank_for_a_stranger_rests_on_the_items_alone(client: TestClient) -> None:
    answer = client.post("/v1/rank", json={"user_id": "stranger", "candidates": ["i1", "i2"]}).json()
    assert (answer["basis"], answer["reason"], len(answer["items"])) == ("item", "unknown_user", 2)
    nothing = client.post("/v1/rank", json={"user_id": "u1", "candidates": ["nowhere"]})
    assert (nothing.status_code, nothing.json()["items"]) == (200, [])


def test_similar_items_are_near_and_any_id_works_in_the_path(client: TestClient, parts: Parts) -> None:
    answer = client.get("/v1/items/i%2Fwith%20slash%20%E7%90%B4/similar", params={"k": 5}).json()
    vectors = offline(parts).bundle.item_vectors[:, :-1]
    history = offline(parts).history
    row = history.item_rows(["i/with slash 琴"])[0]
    cosine = vectors @ vectors[row]
    cosine[[0, row]] = -np.inf
    assert answer["item_id"] == "i/with slash 琴"
    assert [i["score"] for i in answer["items"]] == pytest.approx(np.sort(cosine)[::-1][:5], abs=5e-2)
    assert "i/with slash 琴" not in ids(answer)


def test_an_unknown_item_is_404_and_the_id_is_not_repeated(client: TestClient) -> None:
    answer = client.get("/v1/items/secret-id/similar")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_item")
    assert "secret-id" not in answer.text


def test_encode_returns_vectors_in_order(client: TestClient) -> None:
    answer = client.post("/v1/encode", json={"texts": ["a b", "c"]}).json()
    np.testing.assert_allclose(answer["vectors"], [fake_vector("a b"), fake_vector("c")], rtol=1e-6)
    assert (answer["dim"], answer["n_tokens"], answer["encoder"]) == (8, [2, 1], "fake-encoder")


def test_model_and_health_say_what_is_served(client: TestClient) -> None:
    model = client.get("/v1/model").json()
    assert (model["bundle"], model["encoder"], model["users"], model["items"]) == ("first", "fake-encoder", 30, 40)
    assert model["limits"]["k.maximum"] == 20
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)


BAD: list[tuple[str, bytes]] = [
    ("/v1/recommend", b'{"user_id": 7}'),
    ("/v1/recommend", b'{"user": "u1"}'),
    ("/v1/recommend", b'{"user_id": ""}'),
    ("/v1/recommend", b'{"user_id": "\\ud800"}'),
    ("/v1/recommend", b'{"text": "\\udfff secret"}'),
    ("/v1/recommend", b'{"\\ud800": 1}'),
    ("/v1/recommend", b'{"k": 0}'),
    ("/v1/recommend", b'{"k": 21}'),
    ("/v1/recommend", b'{"k": true}'),
    ("/v1/recommend", b'{"k": NaN}'),
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
    ("/v1/encode", b"[]"),
    ("/v1/encode", b"null"),
    ("/v1/encode", b""),
    ("/v1/encode", b"{"),
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
    "body", [b'{"k": ' + b"9" * 5000 + b"}", b'{"user_id": "\xff"}', b'{"k": ' + b"[" * 40_000 + b"]" * 40_000 + b"}"]
)
def test_unreadable_bodies_are_400(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "🎻" * 250, "琴" * 500, "\u202e\u200b\ufeff", "'; DROP TABLE"])
def test_odd_texts_and_ids_are_answered(client: TestClient, text: str) -> None:
    for request in ({"text": text}, {"user_id": text}, {"liked_items": [text]}, {"exclude": [text]}):
        assert client.post("/v1/recommend", json=request).status_code == 200
    assert client.post("/v1/rank", json={"candidates": [text, "i1"]}).json()["unknown_items"] == [text]


def test_unknown_routes_and_methods_have_the_same_shape(client: TestClient) -> None:
    assert client.get("/v2").json()["error"]["code"] == "not_found"
    wrong = client.get("/v1/recommend")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")


def test_documented_limits_are_those_of_the_configuration(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    recommend, rank, encode = (schemas[f"{n}Request"]["properties"] for n in ("Recommend", "Rank", "Encode"))
    assert recommend["k"]["maximum"] == 20
    assert recommend["text"]["anyOf"][0]["maxLength"] == 500
    assert recommend["exclude"]["maxItems"] == 30
    assert rank["candidates"]["maxItems"] == 50
    assert encode["texts"]["maxItems"] == 4
    assert encode["texts"]["items"]["maxLength"] == 500


def test_a_large_body_is_413(client: TestClient) -> None:
    announced = client.post("/v1/recommend", content=b"x" * 100_001)
    streamed = client.post("/v1/recommend", content=iter([b"x" * 60_000] * 1000))
    for answer in (announced, streamed):
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_a_large_body_is_not_read_to_its_end(parts: Parts) -> None:
    chunks, sent = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal chunks
        chunks += 1
        return {"type": "http.request", "body": b"x" * 60_000, "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/recommend", "headers": [], "query_string": b""}
    asyncio.run(parts.app()(scope, receive, send))
    assert sent[0]["status"] == 413
    assert chunks == 2


def test_a_slow_body_is_408_and_a_slow_answer_504(parts: Parts) -> None:
    async def stall() -> None:
        await asyncio.sleep(60)

    slow = Parts(parts.storage, parts.encoder, Faulty(parts.retriever, [stall]), parts.ranker,
                 parts.config.model_copy(update={"request_timeout_s": 0.2}))  # fmt: skip
    with TestClient(slow.app()) as client:
        late = client.post("/v1/recommend", json={"user_id": "u1"})
        assert (late.status_code, late.json()["error"]["code"]) == (504, "timeout")

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/recommend", "headers": [], "query_string": b""}
    asyncio.run(slow.app()(scope, receive, send))
    assert sent[0]["status"] == 408


ROUTES = [("POST", "/v1/recommend"), ("POST", "/v1/rank"), ("POST", "/v1/encode"), ("GET", "/v1/items/i1/similar"),
          ("GET", "/v1/model"), ("GET", "/v1/nothing"), ("GET", "/nothing")]  # fmt: skip


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", "Basic sesame", "Bearer sesame2", "sesame", "é"])
def test_no_route_opens_without_the_key(parts: Parts, header: str | None) -> None:
    app = parts.app(hashlib.sha256(b"sesame").digest())
    headers = {} if header is None else {"authorization": header.encode()}
    with TestClient(app) as client:
        for method, path in ROUTES:
            answer = client.request(method, path, headers=headers, content=b"not even json")
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get("/healthz").status_code == client.get("/openapi.json").status_code == 200


def test_the_key_opens_every_route(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMREC_TEST_KEY", "sésame")
    app = parts.app(key_digest("LLMREC_TEST_KEY"))
    with TestClient(app) as client:
        headers = {"authorization": "Bearer sésame".encode()}
        assert client.post("/v1/recommend", json={"user_id": "u1"}, headers=headers).status_code == 200
        assert client.get("/v1/model", headers=headers).status_code == 200
        assert "security" in client.get("/openapi.json").json()["paths"]["/v1/model"]["get"]


def test_a_key_that_is_not_set_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMREC_TEST_KEY", raising=False)
    with pytest.raises(ValueError, match="LLMREC_TEST_KEY is unset"):
        key_digest("LLMREC_TEST_KEY")


def test_overload_is_429_with_retry_after(parts: Parts) -> None:
    full = Parts(parts.storage, parts.encoder, parts.retriever, Faulty(parts.ranker, [BackPressureError(9, 9)]),
                 parts.config)  # fmt: skip
    with TestClient(full.app()) as client:
        answer = client.post("/v1/recommend", json={"user_id": "u1"})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert client.post("/v1/recommend", json={"user_id": "u1"}).status_code == 200


def test_a_dead_replica_costs_time_and_not_the_answer(parts: Parts, client: TestClient) -> None:
    dying = Parts(
        parts.storage,
        Faulty(parts.encoder, [ActorDiedError()]),
        Faulty(parts.retriever, [ActorDiedError()] * 3),
        Faulty(parts.ranker, [ActorDiedError()] * 2),
        parts.config,
    )
    with TestClient(dying.app()) as survivor:
        answer = survivor.post("/v1/recommend", json={"text": "a drum"})
        assert answer.json() == client.post("/v1/recommend", json={"text": "a drum"}).json()


def test_replicas_that_stay_away_are_503_with_retry_after(parts: Parts) -> None:
    dead = Parts(parts.storage, parts.encoder, Faulty(parts.retriever, [ActorDiedError()] * 1000), parts.ranker,
                 parts.config.model_copy(update={"request_timeout_s": 1.0}))  # fmt: skip
    with TestClient(dead.app()) as client:
        answer = client.post("/v1/recommend", json={"user_id": "u1"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["retriever"]) == (503, "ActorDiedError")


def test_a_defect_is_500_without_its_inside(parts: Parts) -> None:
    broken = Parts(parts.storage, parts.encoder, Faulty(parts.retriever, [RuntimeError("secret")]), parts.ranker,
                   parts.config)  # fmt: skip
    with TestClient(broken.app(), raise_server_exceptions=False) as client:
        answer = client.post("/v1/recommend", json={"user_id": "u1"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
        assert "secret" not in answer.text


def test_stages_on_two_versions_answer_on_one(tmp_path: Path) -> None:
    parts = make_parts(str(tmp_path), **SMALL)
    with TestClient(parts.app()) as client:
        before = client.post("/v1/recommend", json={"user_id": "u1"}).json()
        asyncio.run(parts.serve("retriever", "second"))  # the ranker still has the first only
        during = client.post("/v1/recommend", json={"user_id": "u1"}).json()
        assert during == before
        asyncio.run(parts.serve("ranker", "second"))
        after = client.post("/v1/recommend", json={"user_id": "u1"}).json()
        assert after["bundle"] == "second"
        assert after["items"] != before["items"]
