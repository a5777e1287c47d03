"""The HTTP API in this process: answers, and what a replica in trouble costs."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.serving import SMALL, Faulty, Parts, fake_vector, make_parts
from ray.exceptions import ActorDiedError
from ray.serve.exceptions import BackPressureError
from starlette.testclient import TestClient

from llmrec.bundle import Bundle, last_time
from llmrec.recommender import Recommender


def offline(parts: Parts) -> Recommender:
    return Bundle.load(f"{parts.storage.root}/bundle/first").recommender(SMALL["retrieve"])


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_known_user_gets_what_the_recommender_says_offline(client: TestClient, parts: Parts) -> None:
    recommender = offline(parts)
    now = np.array([last_time(recommender.history)])
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
    history, time = recommender.history, last_time(recommender.history)
    guest = history.cold_start_state(history.item_rows(["i3", "i5"]), fake_vector("strings for my violin"), time)
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


def test_rank_orders_candidates_as_recommend_does_and_names_the_unknown(client: TestClient, parts: Parts) -> None:
    candidates = ["i9", "nowhere", "i2", "i/with slash 琴", "i2"]
    answer = client.post("/v1/rank", json={"user_id": "u4", "candidates": candidates}).json()
    recommender = offline(parts)
    history, time = recommender.history, last_time(recommender.history)
    state = history.users_at(history.user_rows(["u4"]), np.array([time]))
    known = ["i9", "i2", "i/with slash 琴"]
    ranked = recommender.rank(state, history.item_rows(known), time)
    expected = dict(zip(known, ranked.scores, strict=True))
    assert ids(answer) == sorted(known, key=lambda item: -expected[item])
    assert [i["score"] for i in answer["items"]] == pytest.approx(sorted(expected.values(), reverse=True), rel=1e-5)
    clicks = dict(zip(known, ranked.probability, strict=True))
    assert [i["click_probability"] for i in answer["items"]] == pytest.approx([clicks[i] for i in ids(answer)])
    assert answer["unknown_items"] == ["nowhere"]
    rated = recommender.rate(int(state.rows[0]), history.item_rows(ids(answer)), time)
    for place, item in enumerate(answer["items"]):
        assert item["ratings"] == pytest.approx({name: values[place] for name, values in rated.items()})
        assert 1 <= item["ratings"]["bias"] <= 5 and 0 < item["ratings"]["rates"] < 1


def test_the_context_of_a_request_is_that_of_the_recommender(client: TestClient, parts: Parts) -> None:
    recommender = offline(parts)
    history, time = recommender.history, last_time(recommender.history)
    answers = []
    for context in ({"device": "web"}, {"device": "mobile"}, {"device": "fridge", "unheard": "of"}, {}):
        request = {"user_id": "u4", "candidates": ["i9", "i2", "i5"], "context": context}
        answer = client.post("/v1/rank", json=request).json()
        state = history.users_at(history.user_rows(["u4"]), np.array([time]), history.request_contexts(context))
        expected = recommender.rank(state, history.item_rows(ids(answer)), time).scores
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
    recommender = offline(parts)
    (retriever,) = recommender.models.retrievers.values()
    vectors = retriever.vectors_at(last_time(recommender.history))[:, :-1]  # type: ignore[attr-defined]
    history = recommender.history
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


def test_unknown_routes_and_methods_have_the_same_shape(client: TestClient) -> None:
    assert client.get("/v2").json()["error"]["code"] == "not_found"
    wrong = client.get("/v1/recommend")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")


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


def test_the_documents_examples_are_requests_that_are_answered(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    for name, path in (("RecommendRequest", "recommend"), ("RankRequest", "rank"), ("EncodeRequest", "encode"),
                       ("SearchRequest", "search")):  # fmt: skip
        assert schemas[name]["examples"]
        for body in schemas[name]["examples"]:
            status = client.post(f"/v1/{path}", json=body).status_code
            assert status == (404 if path == "search" else 200), (name, body)  # this bundle has no index
