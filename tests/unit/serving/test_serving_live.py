"""Live events over HTTP: what is refused, and that the next answer knows of what was not."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from factories.bundles import THINGS
from factories.disk import full_disk
from factories.serving import SMALL, Parts, fake_vector, make_parts
from pydantic import ValidationError
from ray.serve import Application
from starlette.testclient import TestClient

from llmrec.client import Client
from llmrec.config import RunConfig, ServingConfig
from llmrec.config.serving.experiments import ExposuresConfig
from llmrec.exposures.paths import events_path
from llmrec.live.event_log import open_event_log
from serve_app import app as serve_app
from serve_app.messages import Restriction
from serve_app.middleware.keys import KeyRing, parse_keys

LIVE = SMALL | {"live": {"enabled": True, "max_batch": 40, "max_events": 500}}
HOUR = 3_600_000


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(str(tmp_path_factory.mktemp("live")), **LIVE)


@pytest.fixture(scope="module")
def client(parts: Parts) -> Iterator[TestClient]:
    with TestClient(parts.app(), raise_server_exceptions=False) as client:
        yield client


def models(parts: Parts) -> list[Any]:
    return [model for part in (parts.retriever, parts.ranker) for model in part._swapper.held]


def post(client: TestClient, parts: Parts, *events: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/events", json={"events": events} if len(events) > 1 else events[0])
    assert answer.status_code == 200, answer.text
    for model in models(parts):
        model.live.catch_up()
    found: dict[str, Any] = answer.json()
    assert client.get("/v1/model").json()["live"]["sequence"] >= found["sequence"]
    return found


def recommended(client: TestClient, **request: Any) -> list[str]:
    answer = client.post("/v1/recommend", json={"k": 20, **request}).json()
    return [item["item_id"] for item in answer["items"]]


def event(name: str, user: str, item: str, **more: Any) -> dict[str, Any]:
    return {"event_id": name, "user_id": user, "item_id": item, **more}


def test_the_next_answer_knows_of_an_event(client: TestClient, parts: Parts) -> None:
    before = recommended(client, user_id="u1")
    said = event("first", "u1", before[0], stars=5)
    assert post(client, parts, said) == {"stored": 1, "duplicates": 0, "sequence": 1}
    time.sleep(0.002)  # an event is seen strictly after its millisecond
    after = recommended(client, user_id="u1")
    assert before[0] not in after and after != before[1:]
    again = client.post("/v1/events", json=said).json()
    assert (again["stored"], again["duplicates"]) == (0, 1)
    assert recommended(client, user_id="u1") == after


def test_on_a_full_disk_an_event_is_refused_in_words_and_answers_go_on(client: TestClient) -> None:
    with full_disk(1_000):
        refused = client.post("/v1/events", json=event("homeless", "u2", "i3"))
        assert client.post("/v1/recommend", json={"user_id": "u2", "k": 5}).status_code == 200
    assert refused.status_code == 503
    assert refused.json()["error"]["message"] == "the log cannot be written; nothing was logged, try again"
    taken = client.post("/v1/events", json=event("homeless", "u2", "i3")).json()
    assert (taken["stored"], taken["duplicates"]) == (1, 0)


def test_somebody_new_has_a_history_from_their_first_event_on(client: TestClient, parts: Parts) -> None:
    ask = {"user_id": "newcomer"}
    assert client.post("/v1/recommend", json=ask).json()["basis"] == "popularity"
    now = int(time.time() * 1000)
    taken = [f"i{k}" for k in range(8)]  # more than the models' history holds
    post(
        client,
        parts,
        *(event(f"n{k}", "newcomer", item, timestamp=now - (9 - k) * HOUR) for k, item in enumerate(taken)),
    )
    answer = client.post("/v1/recommend", json=ask | {"k": 20}).json()
    assert answer["basis"] == "history" and len(answer["items"]) == 20
    assert not {item["item_id"] for item in answer["items"]} & set(taken)
    ranked = client.post("/v1/rank", json=ask | {"candidates": ["i1", "i9", "i20"]}).json()
    assert ranked["basis"] == "history" and len(ranked["items"]) == 3
    assert client.get("/v1/items/i3/similar").status_code == 200


def test_a_late_event_lies_at_its_own_time(client: TestClient, parts: Parts) -> None:
    history = models(parts)[0].history
    row, early = history.user_rows(["u2"]), int(history.data.times[10])
    counts = [int(history.users_at(row, np.array([early + d])).count[0]) for d in (1, 2)]
    post(client, parts, event("late", "u2", "i5", timestamp=early + 1))
    assert [int(history.users_at(row, np.array([early + d])).count[0]) for d in (1, 2)] == [counts[0], counts[1] + 1]


def test_words_are_encoded_and_counted_soon(client: TestClient, parts: Parts) -> None:
    live, vector = models(parts)[0].live, fake_vector("a most resonant body")
    spoken = live.words
    post(client, parts, event("words", "writer", "i6", text="a most resonant body"))
    deadline = time.monotonic() + 20
    while live.words == spoken:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        live.catch_up()
    history, later = models(parts)[0].history, np.array([int(time.time() * 1000) + HOUR])
    state = history.users_at(history.user_rows(["writer"]), later)
    np.testing.assert_allclose(state.text[0, 0], history.reductions["text"](vector[None], "review")[0], atol=1e-6)


def test_events_that_the_bundle_holds_and_those_of_unknown_items_count_apart(client: TestClient, parts: Parts) -> None:
    live, data = models(parts)[0].live, models(parts)[0].history.data
    before = live.describe()
    known = event("known", data.user_ids[int(data.user_rows[7])], data.item_ids[int(data.item_rows[7])])
    post(client, parts, known | {"timestamp": int(data.times[7])}, event("alien", "u3", "no such item"))
    after = live.describe()
    assert {k: after[k] - before[k] for k in ("copies", "of_unknown_items", "events")} == {
        "copies": 1, "of_unknown_items": 1, "events": 0
    }  # fmt: skip


def test_another_process_that_reads_the_log_knows_the_same(client: TestClient, parts: Parts) -> None:
    post(client, parts, *(event(f"r{k}", f"r{k % 3}", f"i{k}") for k in range(12)))
    held = models(parts)[0]
    again = serve_app.load_model(parts.storage, "first", 20, log=serve_app.LogFile(parts.log, 500, 1))
    assert again.live.describe() == held.live.describe()
    later = np.full(9, int(time.time() * 1000) + HOUR)
    ids = ["u1", "u2", "newcomer", "writer", "r0", "r1", "r2", "u9", "nobody"]
    one, other = (m.history.users_at(m.history.user_rows(ids), later) for m in (held, again))
    for name in vars(one):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_a_hidden_item_is_in_no_list(client: TestClient, parts: Parts) -> None:
    first = recommended(client, user_id="u8")[0]
    assert client.delete(f"/v1/items/{first}").status_code == 200
    for model in models(parts):
        model.live.catch_up()
    assert first not in recommended(client, user_id="u8") and first not in recommended(client)
    similar = client.get("/v1/items/i3/similar?k=20").json()
    assert first not in [item["item_id"] for item in similar["items"]]
    assert client.get("/v1/model").json()["live"]["hidden_items"] == 1


def lists_of(client: TestClient, item: str) -> dict[str, bool]:
    """Where an item of a searchable bundle stands, and where it does not."""
    title = f"{THINGS[3][0]} 103"
    asked = {"recommend": {"user_id": "u9", "k": 40}, "popular": {"k": 40}, "need": {"text": title, "k": 40}}
    answers = {name: client.post("/v1/recommend", json=body).json() for name, body in asked.items()}
    answers["page"] = client.post("/v1/recommend", json={"k": 4, "user_id": "u9"}).json()
    if "next" in answers["page"] and answers["page"]["next"]:
        more = client.post("/v1/recommend", json={"k": 40, "user_id": "u9", "cursor": answers["page"]["next"]}).json()
        answers["page"]["items"] += more["items"]
    answers["search"] = client.post("/v1/search", json={"text": title, "k": 40}).json()
    batch = client.post("/v1/recommend/batch", json={"requests": [{"user_id": "u9", "k": 40}]}).json()
    answers["batch"] = batch["answers"][0]["answer"]
    for by in ("words", "behaviour", "both"):
        answers[by] = client.get(f"/v1/items/i7/similar?k=40&by={by}").json()
    return {name: item in [found["item_id"] for found in answer["items"]] for name, answer in answers.items()}


def test_what_is_not_available_is_in_no_list(tmp_path: Path) -> None:
    patient = {"max_k": 60, "retrieve": 60, "request_timeout_s": 60, "text_timeout_s": 20}
    parts = make_parts(str(tmp_path), searchable=True, **LIVE | patient)
    now, item = int(time.time() * 1000), "i3"
    told = {"title": f"{THINGS[3][0]} 103", "categories": ["violin"]}
    with TestClient(parts.app(), raise_server_exceptions=False) as client:

        def put(**more: Any) -> dict[str, bool]:
            assert client.put(f"/v1/items/{item}", json=told | more).status_code == 200
            for model in models(parts):
                model.live.catch_up()
            return lists_of(client, item)

        before = lists_of(client, item)
        assert all(before.values()), before
        hour = 3_600_000
        for window in (
            {"available": False}, {"available_until": now - 1_000}, {"available_from": now + hour},
            {"available_from": now - 2 * hour, "available_until": now - hour},
        ):  # fmt: skip
            assert not any(put(**window).values()), window
        for window in ({}, {"available_from": now - hour, "available_until": now + hour}):
            assert put(**window) == before
        for model in models(parts):  # nobody says anything more: time goes on
            row = int(model.history.item_rows([item])[0])
            at = [model.allowed(Restriction(), now + later).held[row] for later in (-hour, 0, hour - 1, hour)]
            assert at == [False, True, True, False]
        ranked = client.post("/v1/rank", json={"candidates": [item, "i1"]}).json()
        assert len(ranked["items"]) == 2  # who names it gets it
        wrong = client.put(f"/v1/items/{item}", json={"available_from": now, "available_until": now - 1})
        assert wrong.status_code == 422 and wrong.json()["details"][0]["where"] == "body.available_until"
        unread = client.put(f"/v1/items/{item}", json={"available_from": "soon"})
        assert unread.status_code == 422 and unread.json()["details"][0]["where"] == "body.available_from"


def test_a_new_item_can_be_recommended_at_once_and_found_by_its_words(client: TestClient, parts: Parts) -> None:
    waiting = models(parts)[0].live.describe()["of_unknown_items"]
    post(client, parts, event("early", "u5", "a new/one"))
    known = models(parts)[0].live.describe()
    assert known["of_unknown_items"] == waiting + 1
    item = {"title": "A drum", "brand": "Acme", "categories": ["Drums"], "price": 12.5, "attributes": {"colour": "red"}}
    assert client.put("/v1/items/a new/one", json=item).status_code == 200
    deadline, model = time.monotonic() + 20, models(parts)[0]
    while model.live.words == known["with_words"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        for each in models(parts):
            each.live.catch_up()
    now = model.live.describe()
    assert (now["of_unknown_items"], now["events"], now["new_items"]) == (waiting, known["events"] + 1, 1)
    history, row = model.history, int(model.history.item_rows(["a new/one"])[0])
    vector = history.reductions["text"](fake_vector("A drum\nAcme\nDrums")[None], "item")[0]
    np.testing.assert_allclose(history.data.description[[row]][0], vector, atol=1e-6)
    ranked = client.post("/v1/rank", json={"user_id": "u1", "candidates": ["a new/one", "i3"]}).json()
    assert ranked["unknown_items"] == [] and {i["item_id"] for i in ranked["items"]} == {"a new/one", "i3"}
    time.sleep(0.002)
    at = np.array([int(time.time() * 1000)])
    for user, seen in (("u1", False), ("u5", True)):
        state = history.users_at(history.user_rows([user]), at)
        found = model.recommender.retrieve(state, at, 60)
        assert (row in found.rows[0].tolist()) is not seen
        assert np.isfinite(model.recommender.rerank(state, at, found)[found.rows >= 0]).all()
    assert client.get("/v1/items/i3/similar?k=20").status_code == 200
    near = client.get("/v1/items/a new/one/similar?k=3").json()
    assert len(near["items"]) == 3
    guest = client.post("/v1/recommend", json={"liked_items": ["a new/one"]}).json()
    assert guest["basis"] == "liked_items" and guest["unknown_items"] == []


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ({"stars": 7}, "body.stars", "expected 1 to 5"),
        ({"timestamp": "yesterday"}, "body.timestamp", "expected seconds, milliseconds or ISO 8601"),
        ({"timestamp": 4_000_000_000}, "body.timestamp", "expected a time at most 60 s ahead of now"),
        ({"user_id": "null"}, "body.user_id", "expected an id"),
        ({"item_id": "a\x00b"}, "body.item_id", "none of them control codes"),
        ({"stars": "five"}, "body.stars", "valid number"),
        ({"surprise": 1}, "body", "Extra inputs"),
    ],
)
def test_what_ingest_would_not_read_is_refused_by_its_field(
    client: TestClient, change: dict[str, Any], where: str, message: str
) -> None:
    answer = client.post("/v1/events", json=event("bad", "u1", "i1") | change)
    assert answer.status_code == 422
    details = answer.json()["details"]
    assert [detail["where"] for detail in details] == [where] and message in details[0]["message"]
    assert "yesterday" not in answer.text and "a\\u0000b" not in answer.text


def test_a_batch_is_logged_whole_or_not_at_all(client: TestClient, parts: Parts) -> None:
    logged = models(parts)[0].live.sequence
    post(client, parts, event("taken", "u1", "i1", timestamp=1_700_000_000))
    taken = event("taken", "u1", "i2", timestamp=1_700_000_000)
    for batch, status, where in (
        ([event("fresh", "u1", "i1"), taken], 409, "body.events.1.event_id"),
        ([event("fresh", "u1", "i1"), event("fresher", "u1", "i1", stars=0)], 422, "body.events.1.stars"),
        ([event(f"f{k}", "u1", "i1") for k in range(41)], 422, "body.events"),
    ):  # fmt: skip
        answer = client.post("/v1/events", json={"events": batch})
        assert (answer.status_code, answer.json()["details"][0]["where"]) == (status, where)
    assert post(client, parts, event("fresh", "u4", "i1"))["sequence"] == logged + 2


def test_the_client_sends_as_many_as_the_server_takes(client: TestClient, parts: Parts) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        answer = client.request(
            request.method, str(request.url), content=request.content, headers=dict(request.headers)
        )
        return httpx.Response(answer.status_code, json=answer.json())

    with Client("http://here", transport=httpx.MockTransport(handle)) as ours:
        events = [event(f"c{k}", f"c{k % 7}", "i2") for k in range(90)]
        assert (ours.events(events), ours.events(events)) == (90, 0)
        last = open_event_log(parts.log).last()
        assert ours.put_item("i/with slash 琴", title="A zither")["stored"] == 1
        assert ours.delete_item("i2")["sequence"] >= last + 2


def test_a_full_log_takes_no_more_and_says_so(parts: Parts, client: TestClient) -> None:
    batch = [event(f"full{k}", f"x{k}", "i1") for k in range(40)]
    statuses = [
        client.post(
            "/v1/events", json={"events": [e | {"event_id": f"{e['event_id']}.{n}"} for e in batch]}
        ).status_code
        for n in range(13)
    ]
    assert set(statuses) == {200, 507} and statuses == sorted(statuses)


def test_events_ask_for_a_key_that_may_write(parts: Parts) -> None:
    keys = KeyRing(parse_keys("shop read read-read-read-read; events write write-write-write", "test"))
    with TestClient(parts.app(keys)) as client:
        for key, status in (("read-read-read-read", 403), ("write-write-write", 422)):
            headers = {"authorization": f"Bearer {key}"}
            assert client.post("/v1/events", json={}, headers=headers).status_code == status
            assert client.delete("/v1/items/%20", headers=headers).status_code == status


def test_where_events_are_off_there_is_no_such_route_and_the_clock_is_the_bundles(tmp_path: Path) -> None:
    assert ServingConfig().clock == "data" and ServingConfig(live={"enabled": True}).clock == "wall"
    with pytest.raises(ValidationError, match="expected wall"):
        ServingConfig(clock="data", live={"enabled": True})
    with TestClient(make_parts(str(tmp_path)).app()) as client:
        assert client.post("/v1/events", json=event("a", "u1", "i1")).status_code == 404
        assert client.get("/v1/model").json()["live"] is None


def test_where_a_log_cannot_serve_the_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunConfig.model_validate({"serving": {"live": {"enabled": True}}})
    with pytest.raises(ValueError, match=r"serving\.live\.path: found none beside the storage 's3://bucket'"):
        serve_app._intake(config, "s3://bucket", "run", "b")
    last = RunConfig.model_validate({"serving": {"live": {"enabled": True}}, "corpus": {"repeats": "last"}})
    with pytest.raises(ValueError, match=r"corpus\.repeats 'last'"):
        serve_app._intake(last, "/data", "run", "b")
    merged = {"source": "table", "events": "e.csv", "outcome": "play", "event_repeats": {"play": "last"}}
    last = RunConfig.model_validate({"serving": {"live": {"enabled": True}}, "corpus": merged})
    with pytest.raises(ValueError, match=r"corpus\.event_repeats 'last' of the outcome, play"):
        serve_app._intake(last, "/data", "run", "b")
    found = serve_app._intake(config, "/data", "run", "b")
    assert found is not None and found.path == "/data/live/run.sqlite"
    import ray

    node = {"Alive": True, "Resources": {"CPU": 2.0}}
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(
        ray, "nodes", lambda: [node, {"Alive": True, "Resources": {}}, {"Alive": False, "Resources": node}]
    )
    serve_app.refuse_several_machines(config.serving)
    monkeypatch.setattr(ray, "nodes", lambda: [node, node])
    with pytest.raises(ValueError, match=r"serving\.live\.path: found 2 nodes, expected one: .*postgresql://"):
        serve_app.refuse_several_machines(config.serving)
    shared = config.model_copy(update={"name": "the shop", "serving": serving(path="postgresql://h/d")})
    serve_app.refuse_several_machines(shared.serving)
    assert events_path(shared, "s3://bucket", "the shop") == "postgresql://h/d#the%20shop"
    with pytest.raises(ValueError, match=r"serving\.exposures: found 2 nodes"):
        shown = shared.serving.model_copy(update={"exposures": ExposuresConfig(enabled=True)})
        serve_app.refuse_several_machines(shown)


def serving(**live: Any) -> ServingConfig:
    return ServingConfig.model_validate({"live": {"enabled": True, **live}})


def test_every_replica_is_told_where_the_log_lies(tmp_path: Path) -> None:
    config = RunConfig.model_validate({"serving": {"live": {"enabled": True, "path": str(tmp_path / "log")}}})
    served = serve_app.ServedVersion("b")
    ingress = serve_app.compose(config, served, str(tmp_path), "run")
    assert isinstance(ingress, Application)
    intake = ingress._bound_deployment.init_args[5]
    recommender = ingress._bound_deployment.init_args[1]._bound_deployment
    assert intake.path == recommender.init_args[0].args[-1].path == str(tmp_path / "log")
