"""`POST /v1/search`, and words as a need in `POST /v1/recommend`, over the application in this process."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from factories.bundles import described
from factories.serving import NAME, SMALL, Faulty, Parts, make_parts
from httpx import ASGITransport
from ray.exceptions import ActorDiedError
from starlette.testclient import TestClient

from llmrec.schema import Column as C
from serve_app.api import make_api
from serve_app.deployments.stages import RecommenderDeployment
from serve_app.messages import NOTHING_MATCHED
from serve_app.model import open_repository
from serve_app.service import RecommendationService

ITEMS = {item[C.ITEM_ID]: item for item in described(40)}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(str(tmp_path_factory.mktemp("search")), searchable=True, **SMALL)


@pytest.fixture(scope="module")
def client(parts: Parts) -> Iterator[TestClient]:
    with TestClient(parts.app(), raise_server_exceptions=False) as client:
        yield client


def ask(client: TestClient, route: str, **request: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/{route}", json=request)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def categories(answer: dict[str, Any]) -> list[str]:
    return [ITEMS[item["item_id"]][C.CATEGORIES][0] for item in answer["items"]]


@pytest.mark.parametrize("item", ["i0", "i1", "i2", "i3", "i/with slash 琴"])
def test_a_title_finds_its_item_first_and_shows_where_it_matched(client: TestClient, item: str) -> None:
    title = ITEMS[item][C.TITLE]
    answer = ask(client, "search", text=title, k=3)
    assert (answer["bundle"], answer["basis"], answer["reason"]) == ("first", "text", None)
    first = answer["items"][0]
    assert (first["item_id"], first["rank"], first["title"]) == (item, 1, title)
    assert first["matched"] == ["words", "vectors"]
    (shown,) = [h for h in first["highlights"] if h["field"] == "title"]
    assert shown["text"] == title and "".join(shown["words"]) == title.replace(" ", "")
    assert [i["score"] for i in answer["items"]] == sorted((i["score"] for i in answer["items"]), reverse=True)


def test_gibberish_is_unknown_and_never_a_need(client: TestClient) -> None:
    nothing = ask(client, "search", text="xqzvw plorf")
    assert (nothing["basis"], nothing["reason"]) == ("popularity", NOTHING_MATCHED)
    assert all(item["matched"] == item["highlights"] == [] for item in nothing["items"])
    popular = ask(client, "recommend")
    assert [i["item_id"] for i in nothing["items"]] == [i["item_id"] for i in popular["items"]]
    newcomer = ask(client, "recommend", text="xqzvw plorf")
    assert (newcomer["basis"], newcomer["reason"]) == ("popularity", NOTHING_MATCHED)
    assert newcomer["items"] == popular["items"]
    known = ask(client, "recommend", user_id="u1", text="xqzvw plorf")
    assert (known["basis"], known["reason"]) == ("history", NOTHING_MATCHED)
    assert known["items"] == ask(client, "recommend", user_id="u1")["items"]


def test_a_need_moves_the_list_of_a_newcomer_and_of_a_known_user(client: TestClient) -> None:
    for who, basis in (({}, "text"), ({"user_id": "u1"}, "history_and_text"),
                       ({"liked_items": ["i0"]}, "text_and_liked_items")):  # fmt: skip
        fit = [categories(ask(client, "recommend", text="a tent", k=5, need=need, **who)).count("tent")
               for need in (0, 1)]  # fmt: skip
        assert fit[1] == 5 > fit[0]
        answer = ask(client, "recommend", text="a tent", k=5, **who)
        assert (answer["basis"], answer["reason"]) == (basis, None)
        assert categories(answer).count("tent") > fit[0]
    unread = ask(client, "recommend", user_id="u1", text="a tent", need=0)
    assert unread | {"next": None} == ask(client, "recommend", user_id="u1") | {"next": None}


def test_what_the_user_had_and_what_is_excluded_is_not_recommended_and_can_be_found(client: TestClient) -> None:
    listed = ask(client, "recommend", user_id="u1", text="tent", k=20, need=1)
    shown = {item["item_id"] for item in listed["items"]}
    tents = {i for i, item in ITEMS.items() if item[C.CATEGORIES] == ["tent"]}
    found = {i["item_id"] for i in ask(client, "search", text="tent", k=20, user_id="u1")["items"]}
    assert found >= tents > tents & shown
    less = ask(client, "recommend", user_id="u1", text="tent", k=20, need=1, exclude=sorted(shown & tents))
    assert not shown & tents & {item["item_id"] for item in less["items"]}


def test_search_for_a_known_user_is_ordered_by_taste_among_what_matches(client: TestClient) -> None:
    plain, mine = (ask(client, "search", text="tent", k=10, **who) for who in ({}, {"user_id": "u1"}))
    assert mine["basis"] == "history_and_text"
    assert {i["item_id"] for i in mine["items"]} == {i["item_id"] for i in plain["items"]}
    assert [i["item_id"] for i in mine["items"]] != [i["item_id"] for i in plain["items"]]
    stranger = ask(client, "search", text="tent", k=10, user_id="stranger")
    assert (stranger["items"], stranger["reason"]) == (plain["items"], "unknown_user")


def test_filters_and_allowed_items_bound_every_list(client: TestClient) -> None:
    cheap = {"brand": ["VOHAZI"], "price": {"min": 5, "max": 20}}
    asked: tuple[tuple[str, dict[str, Any]], ...] = (
        ("search", {"text": "quiet kettle"}), ("search", {"text": "xqzvw"}), ("recommend", {}),
        ("recommend", {"user_id": "u1"}), ("recommend", {"user_id": "u1", "text": "kettle"}),
    )  # fmt: skip
    for route, request in asked:
        items = ask(client, route, filters=cheap, k=20, **request)["items"]
        assert items
        for item in items:
            row = ITEMS[item["item_id"]]
            assert row[C.BRAND] == "Vohazi" and 5 <= row[C.PRICE] <= 20
    allowed = ask(client, "recommend", user_id="u1", allow_items=["i5", "i9", "nowhere"])
    assert {item["item_id"] for item in allowed["items"]} <= {"i5", "i9"}
    assert allowed["unknown_items"] == ["nowhere"]
    for route, request in (("search", {"text": "kettle"}), ("recommend", {"user_id": "u1"})):
        none = ask(client, route, filters={"category": ["submarine"]}, **request)
        assert (none["items"], none["reason"]) == ([], "no_item_allowed")


@pytest.mark.parametrize("route", ["search", "recommend"])
def test_an_unknown_attribute_is_422_and_says_which_there_are(client: TestClient, route: str) -> None:
    answer = client.post(f"/v1/{route}", json={"text": "kettle", "filters": {"secret-colour": ["red"]}})
    assert answer.status_code == 422
    (detail,) = answer.json()["details"]
    assert (detail["code"], detail["where"]) == ("unknown_attribute", "body.filters")
    assert detail["message"].endswith("brand, category, price") and "secret-colour" not in answer.text


def test_without_the_encoder_the_words_themselves_still_find(parts: Parts) -> None:
    config = parts.config.model_copy(update={"text_timeout_s": 0.1})
    deaf = Parts(parts.storage, Faulty(parts.encoder, [ActorDiedError()] * 500), parts.retriever, parts.ranker, config)
    with TestClient(deaf.app()) as client:
        found = ask(client, "search", text="blue tent", k=5)
        assert (found["basis"], found["reason"]) == ("text", "encoder_unavailable")
        assert set(categories(found)) == {"tent"} and found["items"][0]["matched"] == ["words"]
        listed = ask(client, "recommend", text="blue tent", k=5, need=1)
        assert (listed["basis"], listed["reason"]) == ("text", "encoder_unavailable")
        assert set(categories(listed)) == {"tent"}


def test_a_bundle_without_an_index_says_so(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> None:
    plain = make_parts(str(tmp_path_factory.mktemp("plain")), **SMALL)
    with TestClient(plain.app()) as client:
        answer = client.post("/v1/search", json={"text": "tent"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_search")


@pytest.mark.parametrize("who", [{}, {"user_id": "u1"}])
def test_reasons_add_up_to_the_score_and_name_the_need(client: TestClient, who: dict[str, str]) -> None:
    answer = ask(client, "recommend", text="A tent. It should be blue.", reasons=True, k=5, need=0.8, **who)
    for item in answer["items"]:
        reasons = item["reasons"]
        assert reasons["baseline"] + sum(reasons["contributions"].values()) == pytest.approx(item["score"], abs=1e-3)
        assert reasons["contributions"]["need"] > 0
    assert "asked" in {because["kind"] for because in answer["items"][0]["reasons"]["because"]}


def test_an_item_that_is_hidden_is_not_found_and_one_that_joined_passes_filters(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    live = make_parts(str(tmp_path_factory.mktemp("live")), True, **SMALL, live={"enabled": True})
    with TestClient(live.app()) as client:
        (best,) = ask(client, "search", text="Blue Tent 101", k=1)["items"]
        assert client.delete(f"/v1/items/{best['item_id']}").status_code == 200
        joined = {"title": "Grey Canoe", "brand": "Neluka", "categories": ["canoe"], "price": 7.5}
        assert client.put("/v1/items/new", json=joined).status_code == 200
        for part in (live.retriever, live.ranker):
            for model in part._swapper.held:
                model.live.catch_up()
        shown = ask(client, "search", text="Blue Tent 101", k=20)["items"]
        assert shown and best["item_id"] not in {item["item_id"] for item in shown}
        listed = ask(client, "recommend", user_id="u1", text="tent", k=20, need=1)["items"]
        assert best["item_id"] not in {item["item_id"] for item in listed}
        canoes = ask(client, "recommend", filters={"category": ["Canoe"], "price": {"min": 7, "max": 8}})["items"]
        assert [item["item_id"] for item in canoes] == ["new"]


def test_both_layouts_answer_a_need_alike(parts: Parts) -> None:
    made = RecommenderDeployment(lambda: open_repository(parts.storage.root, NAME, parts.config.retrieve))
    asyncio.run(made.reconfigure({"bundle": "first"}))
    fused = RecommendationService.over(parts.encoder, made, made, parts.config, made)
    bodies = [{"text": "a tent"}, {"user_id": "u1", "text": "a tent"}, {"user_id": "u1", "text": "xqzvw"}]

    async def answers(service: RecommendationService) -> list[Any]:
        async with httpx.AsyncClient(transport=ASGITransport(make_api(service)), base_url="http://here") as client:
            return [(await client.post("/v1/recommend", json=body)).json() for body in bodies]

    assert asyncio.run(answers(fused)) == asyncio.run(answers(parts.service()))
