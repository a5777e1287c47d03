"""`reasons: true` over HTTP: the same list, and why."""

import asyncio

import pytest
from factories.serving import NAME, Parts
from starlette.testclient import TestClient

from serve_app.api import make_api
from serve_app.deployments.stages import RecommenderDeployment
from serve_app.model import open_repository
from serve_app.service import RecommendationService

TEXT = "A drum for small hands. It must be quiet!\nNothing in red"


@pytest.mark.parametrize(
    "request_", [{"user_id": "u3"}, {"liked_items": ["i4", "i7"]}, {"text": TEXT}, {"text": "one"}, {}]
)
def test_the_list_is_the_same_and_each_item_says_why(client: TestClient, request_: dict[str, object]) -> None:
    plain = client.post("/v1/recommend", json=request_ | {"k": 5}).json()
    answer = client.post("/v1/recommend", json=request_ | {"k": 5, "reasons": True}).json()
    assert [i["item_id"] for i in answer["items"]] == [i["item_id"] for i in plain["items"]]
    assert {i["reasons"] for i in plain["items"]} == {None}
    for item in answer["items"]:
        why = item["reasons"]
        assert sum(why["contributions"].values()) == pytest.approx(item["score"] - why["baseline"], abs=2e-3)
        assert why["because"] and len(why["because"]) <= 4
        for because in why["because"]:
            assert because["quote"] is None or because["quote"] in str(request_["text"])
            assert (because["kind"] == "liked") <= (because["item_id"] in ("i4", "i7") or "user_id" in request_)


def test_what_was_written_is_quoted_and_nothing_else(client: TestClient) -> None:
    answer = client.post("/v1/recommend", json={"text": TEXT, "k": 20, "reasons": True}).json()
    quotes = {b["quote"] for i in answer["items"] for b in i["reasons"]["because"] if b["kind"] == "wrote"}
    assert quotes and quotes <= {"A drum for small hands.", "It must be quiet!", "Nothing in red"}
    assert all(
        f"“{b['quote']}”" in b["statement"] for i in answer["items"] for b in i["reasons"]["because"] if b["quote"]
    )


def test_a_known_user_is_told_of_items_that_they_had(client: TestClient, parts: Parts) -> None:
    answer = client.post("/v1/recommend", json={"user_id": "u5", "k": 20, "reasons": True}).json()
    model = open_repository(parts.storage.root, NAME, 20).load("first")
    had = {model.history.item_ids[r] for r in model.history.seen(int(model.history.user_rows(["u5"])[0]), model.as_of)}
    named = {b["item_id"] for i in answer["items"] for b in i["reasons"]["because"] if b["item_id"]}
    assert named and named <= had


def test_ranked_candidates_say_why_too_measured_from_their_own_mean(client: TestClient) -> None:
    request = {"user_id": "u4", "candidates": ["i9", "i2", "i5", "nowhere"], "reasons": True}
    items = client.post("/v1/rank", json=request).json()["items"]
    mean = sum(item["score"] for item in items) / 3
    assert [item["reasons"]["baseline"] for item in items] == pytest.approx([mean] * 3, abs=1e-4)
    assert client.post("/v1/rank", json=request | {"candidates": ["nowhere"]}).json()["items"] == []


def test_both_layouts_give_the_same_reasons(parts: Parts, client: TestClient) -> None:
    both = RecommenderDeployment(lambda: open_repository(parts.storage.root, NAME, parts.config.retrieve))
    asyncio.run(both.reconfigure({"bundle": "first"}))
    service = RecommendationService.over(parts.encoder, both, both, parts.config, both)
    for request in ({"user_id": "u3", "reasons": True}, {"text": TEXT, "reasons": True}):
        fused = TestClient(make_api(service)).post("/v1/recommend", json=request).json()
        assert fused == client.post("/v1/recommend", json=request).json()
