"""What users say beside who they are: this session, what they do not want, more like one, pages, several at once."""

import asyncio
from typing import Any

import pytest
from factories.bundles import described
from factories.serving import SMALL, Parts, make_parts
from starlette.testclient import TestClient

from llmrec.schema import Column as C

ITEMS = {item[C.ITEM_ID]: item for item in described(40)}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(str(tmp_path_factory.mktemp("answers")), searchable=True, **SMALL | {"max_batch": 5})


@pytest.fixture(scope="module")
def client(parts: Parts) -> TestClient:
    return TestClient(parts.app())


def ask(client: TestClient, path: str = "recommend", **request: Any) -> Any:
    answer = client.post(f"/v1/{path}", json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(answer: Any) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def categories(answer: Any) -> list[str]:
    return [ITEMS[item][C.CATEGORIES][0] for item in ids(answer)]


@pytest.mark.parametrize(("who", "basis"), [
    ({"user_id": "u1"}, "history_and_recent_items"), ({}, "recent_items"),
    ({"liked_items": ["i0"]}, "recent_items_and_liked_items"),
])  # fmt: skip
def test_a_session_counts_for_this_answer_only(client: TestClient, who: dict[str, Any], basis: str) -> None:
    before = ask(client, **who)
    during = ask(client, recent_items=["i5", "i9", "i5", "nowhere"], reasons=True, **who)
    assert (during["basis"], during["reason"]) == (basis, None)
    assert ids(during) != ids(before) and not {"i5", "i9"} & set(ids(during))
    assert during["understood"]["recent_items"] == ["i5", "i9", "i5"] and during["unknown_items"] == ["nowhere"]
    said = {b["item_id"] for item in during["items"] for b in item["reasons"]["because"] if b["kind"] == "just_had"}
    assert said and said <= {"i5", "i9"}
    assert ask(client, **who) == before


@pytest.mark.parametrize("who", [{"user_id": "u1"}, {}, {"text": "a lamp", "need": 0.3}])
def test_what_is_not_wanted_goes_down_with_what_is_like_it(client: TestClient, who: dict[str, Any]) -> None:
    whole = ask(client, k=20, **who)
    tents = [item for item in ids(whole) if ITEMS[item][C.CATEGORIES] == ["tent"]]
    assert len(tents) >= 2

    def place(answer: Any) -> float:
        at = [n for n, item in enumerate(ids(answer)) if item in tents[1:]]
        return (sum(at) + 20 * (len(tents) - 1 - len(at))) / (len(tents) - 1)

    by_item = ask(client, k=20, disliked_items=tents[:1], **who)
    assert tents[0] not in ids(by_item) and place(by_item) > place(whole)
    by_words = ask(client, k=20, disliked_text="tent", **who)
    assert place(by_words) > place(whole) + 1 and by_words["understood"]["disliked_text"] is True
    assert "tent" not in categories(by_words)[:3]
    nothing = ask(client, k=20, disliked_text="xqzvw", **who)
    assert nothing["understood"]["disliked_text"] is False and ids(nothing) == ids(whole)


def test_reasons_say_what_counted_against_an_item(client: TestClient) -> None:
    for item in ask(client, user_id="u1", disliked_text="tent", reasons=True, k=20)["items"]:
        reasons = item["reasons"]
        assert reasons["baseline"] + sum(reasons["contributions"].values()) == pytest.approx(item["score"], abs=1e-3)
        assert (reasons["contributions"]["unwanted"] < 0) == (ITEMS[item["item_id"]][C.CATEGORIES] == ["tent"])


def test_more_like_this_but(client: TestClient) -> None:
    near = ask(client, like="i0", need=0.9, k=5)  # a kettle
    assert near["basis"] == "item" and "i0" not in ids(near) and categories(near).count("kettle") >= 4
    known = ask(client, user_id="u1", like="i0", k=5)
    assert known["basis"] == "history_and_item" and known["understood"]["like"] == "i0"
    but = ask(client, like="i0", text="tent", need=0.9, k=10)
    assert but["basis"] == "text_and_item" and {"tent", "kettle"} <= set(categories(but))
    lost = ask(client, like="nowhere")
    assert (lost["basis"], lost["unknown_items"]) == ("popularity", ["nowhere"])


def test_similar_by_words_by_behaviour_and_by_both(client: TestClient) -> None:
    found = {by: client.get("/v1/items/i0/similar", params={"by": by, "k": 8}).json() for by in
             ("words", "behaviour", "both")}  # fmt: skip
    assert set(categories(found["words"])) == {"kettle"}
    assert ids(found["behaviour"]) == ids(client.get("/v1/items/i0/similar?k=8").json()) != ids(found["words"])
    assert set(ids(found["both"])) & set(ids(found["words"])) and set(ids(found["both"])) & set(ids(found["behaviour"]))
    assert not any("i0" in ids(answer) for answer in found.values())
    assert client.get("/v1/items/i0/similar?by=taste").status_code == 422


@pytest.mark.parametrize("request_", [
    {"user_id": "u1"}, {}, {"user_id": "u2", "text": "tent", "diversity": {"method": "mmr", "weight": 0.5}},
    {"text": "a lamp", "disliked_text": "tent"},
])  # fmt: skip
def test_pages_join_to_the_whole_list(client: TestClient, request_: dict[str, Any]) -> None:
    whole = ask(client, k=20, **request_)
    first = ask(client, k=6, **request_)
    found, ranks, cursor = ids(first), [item["rank"] for item in first["items"]], first["next"]
    while cursor:
        page = ask(client, k=4, cursor=cursor, **request_)
        found, ranks, cursor = found + ids(page), ranks + [i["rank"] for i in page["items"]], page["next"]
    assert found[:20] == ids(whole) and len(set(found)) == len(found) and ranks == list(range(1, len(found) + 1))


def test_a_cursor_belongs_to_its_request(client: TestClient) -> None:
    cursor = ask(client, user_id="u1", k=5)["next"]
    for request, code in (({"user_id": "u2", "cursor": cursor}, "cursor_of_another_request"),
                          ({"user_id": "u1", "cursor": cursor[:-3] + "%%"}, "cursor_unreadable"),
                          ({"user_id": "u1", "cursor": "é"}, "cursor_unreadable"),
                          ({"user_id": "u1", "cursor": "WzFd"}, "cursor_unreadable")):  # fmt: skip
        answer = client.post("/v1/recommend", json=request)
        assert answer.status_code == 409 and answer.json()["details"][0]["code"] == code, answer.text


def test_pages_hold_while_bundles_change_and_end_with_the_bundle(tmp_path_factory: pytest.TempPathFactory) -> None:
    parts = make_parts(str(tmp_path_factory.mktemp("swap")), **SMALL)
    with TestClient(parts.app()) as client:
        whole, first = ask(client, user_id="u1", k=20), ask(client, user_id="u1", k=8)
        for part in ("retriever", "ranker"):
            asyncio.run(parts.serve(part, "second"))
        assert ask(client, user_id="u1")["bundle"] == "second"
        later = ask(client, user_id="u1", k=12, cursor=first["next"])
        assert later["bundle"] == "first" and ids(first) + ids(later) == ids(whole)
        for part in (parts.retriever, parts.ranker):
            part._swapper._held = part._swapper._held[:1]
        gone = client.post("/v1/recommend", json={"user_id": "u1", "cursor": first["next"]})
        assert (gone.status_code, gone.json()["error"]["code"]) == (410, "cursor_expired")


def test_an_item_that_goes_moves_no_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    live = make_parts(str(tmp_path_factory.mktemp("live")), True, **SMALL, live={"enabled": True})
    with TestClient(live.app()) as client:
        whole, first = ask(client, user_id="u1", k=20), ask(client, user_id="u1", k=5)
        assert client.delete(f"/v1/items/{ids(first)[1]}").status_code == 200
        for part in (live.retriever, live.ranker):
            for model in part._swapper.held:
                model.live.catch_up()
        later = ask(client, user_id="u1", k=15, cursor=first["next"])
        assert ids(first)[1] not in ids(ask(client, user_id="u1", k=20)) and not set(ids(first)) & set(ids(later))
        assert [item for item in ids(later) if item in ids(whole)] == ids(whole)[5:19]  # a candidate took the place


def test_a_batch_answers_and_refuses_each(client: TestClient) -> None:
    bodies = [{"user_id": "u1", "k": 3}, {"k": 10_000}, {"nonsense": 1}, {"text": "tent", "k": 3}, {"k": "x"}]
    answers = ask(client, "recommend/batch", requests=bodies)["answers"]
    for place in (0, 3):
        assert answers[place]["answer"] == ask(client, **bodies[place]) and answers[place]["refused"] is None
    assert [a["status"] for a in answers] == [200, 422, 422, 200, 422]
    assert [a["refused"]["details"][0]["where"] for a in answers if a["refused"]] == ["body.k", "body", "body.k"]
    assert "nonsense" not in str(answers)
    for wrong in ({"requests": [{}] * 6}, {"requests": []}, {"requests": [1]}, {}):
        assert client.post("/v1/recommend/batch", json=wrong).status_code == 422


def test_lists_differ_as_far_as_the_dial_says(client: TestClient, parts: Parts) -> None:
    for method in ("mmr", "dpp"):
        kinds = [len(set(categories(ask(client, user_id="u1", text="tent", need=0.9, k=6,
                                        diversity={"method": method, "weight": weight}))))
                 for weight in (0, 0.95)]  # fmt: skip
        assert kinds[0] < kinds[1]
    config = parts.config.model_validate(parts.config.model_dump() | {"diversity": {"method": "dpp", "weight": 0.95}})
    always = TestClient(Parts(parts.storage, parts.encoder, parts.retriever, parts.ranker, config).app())
    asked = {"user_id": "u1", "text": "tent", "need": 0.9, "k": 6}
    assert ids(ask(always, **asked)) == ids(ask(client, **asked, diversity={"method": "dpp", "weight": 0.95}))
    assert ids(ask(always, **asked, diversity={"weight": 0})) == ids(ask(client, **asked))
    both = {"diversity": {"weight": 0.5}, "explore": {"policy": "epsilon", "rate": 1}}
    refused = client.post("/v1/recommend", json=both)
    assert refused.status_code == 409 and refused.json()["details"][0]["code"] == "either"


def test_the_context_that_counted_is_echoed(client: TestClient) -> None:
    told = ask(client, user_id="u1", context={"device": "mobile", "planet": "mars"})["understood"]["context"]
    assert told == {"device": "mobile"}
    assert ask(client, user_id="u1", context={"device": "toaster"})["understood"]["context"] == {}


def test_words_of_an_encoder_without_a_bundle_count_without_their_vectors(parts: Parts) -> None:
    class Elsewhere:
        """Another encoder than that of any bundle."""

        async def encode(self, texts: list[str], kind: Any, urgent: bool) -> Any:
            made = await parts.encoder.encode(texts, kind, urgent)
            return type(made)("another-encoder", made.vectors, made.n_tokens, made.n_unknown)

        async def describe(self) -> str:
            return "another-encoder"

    config = parts.config.model_copy(update={"text_timeout_s": 0.1, "request_timeout_s": 20})
    client = TestClient(Parts(parts.storage, Elsewhere(), parts.retriever, parts.ranker, config).app())
    found = ask(client, text="blue tent", need=1, k=5, disliked_text="kettle")
    assert (found["basis"], found["reason"]) == ("text", "no_bundle_of_the_encoder")
    assert set(categories(found)) == {"tent"}
    assert ask(client, user_id="u1", text="xqzvw")["reason"] == "no_bundle_of_the_encoder"
    assert ask(client, "search", text="blue tent")["reason"] == "no_bundle_of_the_encoder"
    assert ask(client, "rank", text="blue tent", candidates=["i1"])["reason"] == "no_bundle_of_the_encoder"
