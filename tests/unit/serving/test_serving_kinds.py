"""Events of many kinds over HTTP: what is refused, what the next answer knows of, and what stays a candidate."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from factories.serving import SMALL, Parts, make_parts
from starlette.testclient import TestClient

from llmrec.client import Client
from llmrec.config import CorpusConfig
from llmrec.features.asof.state import ItemState, UserState
from llmrec.live.event_log import Fact, open_event_log
from serve_app.model import ServedModel

LIVE = SMALL | {"max_k": 60, "retrieve": 60, "live": {"enabled": True, "max_batch": 40, "max_events": 500}}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(str(tmp_path_factory.mktemp("kinds")), eventful=True, **LIVE)


@pytest.fixture(scope="module")
def client(parts: Parts) -> Iterator[TestClient]:
    with TestClient(parts.app(), raise_server_exceptions=False) as client:
        yield client


class Through(httpx.BaseTransport):
    """A client's requests to the application in this process."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._client.request(request.method, str(request.url), content=request.content)
        return httpx.Response(answer.status_code, content=answer.content)


def served(parts: Parts) -> ServedModel:
    model: ServedModel = parts.retriever._swapper.held[0]
    assert model.live is not None
    model.live.catch_up()
    return model


def states(parts: Parts, user: str, item: str) -> tuple[UserState, ItemState]:
    """Just after now."""
    history, at = served(parts).history, np.array([int(time.time() * 1000) + 2])
    return history.users_at(history.user_rows([user]), at), history.items_at(history.item_rows([item]), at)


def listed(client: TestClient, parts: Parts, user: str) -> list[str]:
    for part in (parts.retriever, parts.ranker):
        part._swapper.held[0].live.catch_up()
    time.sleep(0.002)  # an event is seen strictly after its millisecond
    answer = client.post("/v1/recommend", json={"user_id": user, "k": 60}).json()
    return [item["item_id"] for item in answer["items"]]


def event(name: str, **more: Any) -> dict[str, Any]:
    return {"event_id": name, "user_id": "u1", "item_id": "i1", **more}


def test_a_view_is_known_and_excludes_nothing_and_a_purchase_does(client: TestClient, parts: Parts) -> None:
    item = listed(client, parts, "u1")[0]
    before, kinds = states(parts, "u1", item), served(parts).history.further.kinds
    seen = event("v1", item_id=item, kind="Add to Cart", session="s")
    assert client.post("/v1/events", json=seen).json() == {"stored": 1, "duplicates": 0, "sequence": 1}
    assert client.post("/v1/events", json=seen).json()["duplicates"] == 1
    after, basket = states(parts, "u1", item), kinds.index("add_to_basket")
    for one, other in zip(before, after, strict=True):
        changed = (one.events[0] != other.events[0]).any(axis=1)
        assert changed[basket] and other.events[0, basket, 0] == one.events[0, basket, 0] + 1
        assert one.count == other.count
    assert item in listed(client, parts, "u1")
    client.post("/v1/events", json=event("p1", item_id=item, value=2))  # the outcome, as no kind is named
    bought, purchase = states(parts, "u1", item), kinds.index("purchase")
    for one, other in zip(after, bought, strict=True):
        assert other.count == one.count + 1
        assert other.events[0, purchase, 0] == one.events[0, purchase, 0] + 1
    assert item not in listed(client, parts, "u1")
    live = served(parts).live
    assert live is not None and (live.describe()["events"], live.describe()["interactions"]) == (2, 1)


def test_a_search_is_about_no_item(client: TestClient, parts: Parts) -> None:
    answer = client.post("/v1/events", json=event("q", item_id=None))
    assert answer.json()["details"][0]["where"] == "body.item_id"
    corpus_has_none = client.post("/v1/events", json=event("q", item_id=None, kind="search", text="a drum"))
    assert corpus_has_none.json()["details"][0]["code"] == "unknown_kind"


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ({"kind": "wiew"}, "body.kind", "the nearest is view"),
        ({"kind": "review"}, "body.kind", "expected one of add_to_basket, purchase, view"),
        ({"kind": "watch", "value": 3}, "body.kind", "corpus.event_repeats"),
        ({"kind": "view", "stars": 3}, "body.stars", "stars are a review's"),
        ({"kind": "view", "value": 1e300}, "body.value", "expected at most"),
        ({"kind": "view", "item_id": "null"}, "body.item_id", "expected an id"),
        ({"kind": ""}, "body.kind", "at least 1 character"),
    ],
)
def test_what_the_corpus_does_not_have_is_refused_by_its_field(
    client: TestClient, change: dict[str, Any], where: str, message: str
) -> None:
    answer = client.post("/v1/events", json=event("bad") | change)
    assert answer.status_code == 422
    details = answer.json()["details"]
    assert [detail["where"] for detail in details] == [where] and message in details[0]["message"], details


def test_without_a_kind_an_event_must_be_the_outcome(parts: Parts) -> None:
    watched = {"outcome": {"view": {"at_least": 30}}}
    parts = Parts(**{**vars(parts), "corpus": CorpusConfig.model_validate(vars(parts.corpus) | watched)})
    with TestClient(parts.app()) as client:
        for value, status in ((None, 422), (29.0, 422)):
            answer = client.post("/v1/events", json=event("short", value=value))
            assert answer.status_code == status and answer.json()["details"][0]["where"] == "body.value"


def test_whom_users_follow_is_known_to_the_next_answer(client: TestClient, parts: Parts) -> None:
    n = states(parts, "u3", "i1")[0].follows[0]
    path = "/v1/users/u3/follows"
    assert client.put(f"{path}/u9").json()["stored"] == 1
    assert client.put(f"{path}/u9").json()["duplicates"] == 1
    assert client.put(f"{path}/{served(parts).history.user_ids[1]}").status_code == 200
    assert Client("http://test", transport=Through(client)).follow("somebody/new 用户", "u3")
    assert states(parts, "u3", "i1")[0].follows[0] - n in (1, 2)
    new = states(parts, "somebody/new 用户", "i1")[0]
    assert new.follows[0] == 1 and new.followed_items.any()
    refused = client.put(f"{path}/u3")
    assert (refused.status_code, refused.json()["details"][0]["code"]) == (422, "self_relation")


def test_what_the_bundle_holds_counts_once_and_kinds_that_it_does_not_know_are_counted_apart(
    client: TestClient, parts: Parts
) -> None:
    live = served(parts).live
    assert live is not None
    before, history = live.describe(), served(parts).history
    first = history.data.user_ids[int(history.data.user_rows[0])], history.data.item_ids[int(history.data.item_rows[0])]
    held = {"event_id": "purchase0", "user_id": first[0], "item_id": first[1], "kind": "purchase"}
    client.post("/v1/events", json=held)
    strange = {"kind": "share", "user": "u1", "item": "i1", "value": None, "session": None, "text": None, "time": 1}
    open_event_log(parts.log).append([[Fact("event", "strange", strange, strange)]])
    live.catch_up()
    told = live.describe()
    assert (told["copies"], told["of_unknown_kinds"]) == (before["copies"] + 1, before["of_unknown_kinds"] + 1)
    assert told["events"] == before["events"]
