"""The operator's page without a browser: who sees it, what it tells, and what its buttons do."""

import re
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest
from factories.serving import NAME, SMALL, Parts, make_parts
from starlette.testclient import TestClient

from llmrec.refresh.book import Plan, RefreshBook
from llmrec.registry import current, publish
from serve_app.middleware.keys import KeyRing, parse_keys
from serve_app.operator.console import ago
from serve_app.operator.figures import quantile

FORM = {"content-type": "application/x-www-form-urlencoded"}
ADMIN, READER = "0123456789abcdef-admin", "0123456789abcdef-read"


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    made = make_parts(str(tmp_path), **SMALL)
    second = made.storage.find("bundle", "second")
    assert second is not None
    publish(made.storage, second, NAME)
    return made


def act(client: TestClient, what: str, status: int = 200, **headers: str) -> str:
    answer = client.post("/operate", content=urlencode({"act": what}), headers=FORM | headers)
    assert answer.status_code == status, answer.text
    return answer.text


def serving(parts: Parts) -> str:
    return str(current(parts.storage, NAME)["id"])


def test_bundles_are_activated_and_rolled_back_and_others_are_refused(parts: Parts) -> None:
    client = TestClient(parts.app())
    told = client.get("/operator").text
    assert re.findall(r'value="(activate:\w+)"', told) == ["activate:first"] and 'value="roll back"' in told
    assert "CURRENT names bundle first" in act(client, "activate:first") and serving(parts) == "first"
    assert "CURRENT names bundle second" in act(client, "roll back") and serving(parts) == "second"
    for wrong in ("activate:../first", "activate:nobody", "activate:"):
        assert "no such bundle was published here" in act(client, wrong, 422)
    assert "Not done" in act(client, "activate:" + "<b>", 422) and serving(parts) == "second"


def test_a_damaged_bundle_is_not_activated(parts: Parts) -> None:
    damaged = next(Path(parts.storage.root).glob("bundle/first/*/models/ranker/*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert "Not done" in act(TestClient(parts.app()), "activate:first", 422) and serving(parts) == "second"


def test_only_an_admin_sees_anything_and_no_other_page_sends_the_form(parts: Parts) -> None:
    client = TestClient(parts.app(KeyRing(parse_keys(f"a admin {ADMIN}; r read {READER}", "here"))))
    form = client.get("/operator")
    assert form.status_code == 200 and 'id="key"' in form.text and "second" not in form.text
    act(client, "look", 401)
    act(client, "activate:first", 403, authorization=f"Bearer {READER}")
    assert "Bundles" in act(client, "look", authorization=f"Bearer {ADMIN}")
    act(client, "roll back", 403, authorization=f"Bearer {ADMIN}", origin="http://elsewhere.example")
    assert serving(parts) == "second"
    act(client, "roll back", authorization=f"Bearer {ADMIN}", origin="http://testserver")
    assert serving(parts) == "first"


def test_figures_events_experiments_and_the_last_refresh_are_told(tmp_path: Path) -> None:
    arms = {"plain": {}, "wordy": {"need": 1.0}}
    parts = make_parts(str(tmp_path), **SMALL, live={"enabled": True}, exposures={"enabled": True},
                       experiments={"try": {"arms": arms}})  # fmt: skip
    book = RefreshBook(parts.storage, NAME)
    book.open(Plan(turn=1, bundle="first", log="a", through=7, events=7, held={}, waiting=[], logged=[], held_out=2,
                   told={}))  # fmt: skip
    book.close(1, {"published": None, "because": "the interval's lower end is below"})
    with TestClient(parts.app()) as client:
        lists = [client.post("/v1/recommend", json={"user_id": f"u{n}", "k": 5}).json() for n in range(12)]
        client.post("/v1/recommend", json={"k": 10_000})
        client.post("/v1/events", json={"event_id": "e", "user_id": "u1", "item_id": "i3"})
        clicked = {"list_id": lists[0]["list_id"], "item_id": lists[0]["items"][0]["item_id"]}
        client.post("/v1/feedback", json=clicked)
        deadline = time.monotonic() + 20
        while True:
            told = re.sub(r"<[^>]+>|\s+", " ", client.get("/operator").text)
            told = re.sub(" +", " ", told)
            if re.search(r"100\.0 %|[1-9]\d?\.\d %", told):
                break
            assert time.monotonic() < deadline, told
            time.sleep(0.05)
        assert re.search(r"/v1/recommend 13 1 0 \d+\.\d \d+\.\d", told), told
        assert "1 of 1 entries are not known to answers yet" in told  # nobody follows the log in this test
        for model in parts.retriever._swapper.held:
            model.live.catch_up()
        time.sleep(1.1)  # what the retriever told is remembered for a second
        assert "All 1 entries of the log are known to answers" in re.sub(r"<[^>]+>", "", client.get("/operator").text)
    shown = {arm: sum(a["arm"] == f"try/{arm}" for a in lists) for arm in arms}
    assert re.search(rf"plain control {shown['plain']} {shown['plain']} ", told), told
    assert re.search(rf"wordy {shown['wordy']} {shown['wordy']} ", told), told
    assert "of 7 events, 0 held back" in told and "lower end is below" in told


def test_quantiles_of_a_histogram_lie_within_their_bucket() -> None:
    buckets = {0.01: 50, 0.02: 90, 0.1: 99, float("inf"): 100}
    assert quantile(buckets, 0.5) == 10 and quantile(buckets, 0.9) == 20
    assert quantile(buckets, 0.7) == 15 and quantile(buckets, 1) == 100
    assert quantile({}, 0.5) is None and quantile({float("inf"): 0}, 0.5) is None


def test_times_are_told_in_words() -> None:
    assert [ago(0, seconds) for seconds in (5, 61, 7_300, 200_000)] == [
        "just now", "1 minute ago", "2 hours ago", "2 days ago"
    ]  # fmt: skip
