"""Exposures, feedback and experiments over HTTP, in one process."""

import json
import sqlite3
from argparse import Namespace
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories.serving import SMALL, Faulty, Parts, make_parts
from starlette.testclient import TestClient

from jobs.experiment import experiment
from jobs.offpolicy import offpolicy
from llmrec.config import RunConfig, ServingConfig
from llmrec.exposures import ExposureLog, Said, ServedList
from llmrec.trials.allocation import arm_of
from serve_app.trials import Trials

SPLIT = {"arms": {"plain": {}, "drawn": {"explore": {"policy": "epsilon", "rate": 0.5}}}, "share": 0.8,
         "guards": {"least": 20, "max_error_rate": 0.5}}  # fmt: skip
#: A busy machine is no failure here.
PATIENT = {"request_timeout_s": 60, "text_timeout_s": 20}
ON = {"live": {"enabled": True}, "exposures": {"enabled": True, "flush_ms": 5}}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return make_parts(str(tmp_path_factory.mktemp("trials")), **(SMALL | PATIENT | ON))


def served(parts: Parts, tmp_path: Path, experiments: dict[str, object]) -> tuple[TestClient, Trials]:
    """The application with these experiments and a log of its own."""
    values = parts.config.model_dump() | {"experiments": experiments}
    values["exposures"] |= {"path": str(tmp_path / "shown.sqlite")}
    own = Parts(parts.storage, parts.encoder, parts.retriever, parts.ranker, ServingConfig.model_validate(values))
    service = own.service()
    assert service.trials is not None
    from serve_app.api import make_api

    return TestClient(make_api(service), raise_server_exceptions=False), service.trials


def test_lists_are_logged_without_words_and_feedback_finds_them(parts: Parts, tmp_path: Path) -> None:
    client, trials = served(parts, tmp_path, {})
    with client:
        body = {"user_id": "u3", "k": 4, "text": "Secretwishes", "explore": {"policy": "epsilon", "rate": 0.5}}
        answer = client.post("/v1/recommend", json=body).json()
        item = answer["items"][1]["item_id"]
        click = {"list_id": answer["list_id"], "item_id": item}
        assert client.post("/v1/feedback", json=click).json() == {"stored": 1}
        assert client.post("/v1/events", json={"event_id": "t1", "user_id": "u3", "item_id": item}).status_code == 200
        other = {"event_id": "t2", "user_id": "u4", "item_id": item}
        assert client.post("/v1/events", json=other).status_code == 200
    log = ExposureLog(trials.recorder.log.path)
    ((number, found),) = log.lists()
    assert [i["item_id"] for i in answer["items"]] == list(found.items)
    assert [i["propensity"] for i in answer["items"]] == pytest.approx(found.propensities)
    assert (found.user, found.policy, found.rate, found.bundle) == ("u3", "epsilon", 0.5, answer["bundle"])
    assert found.contexts is not None and found.contexts.shape == (3, 4, len(found.terms))
    assert sorted((f.number, f.slot, f.kind) for f in log.feedback()) == [(number, 1, "click"), (number, 1, "taken")]
    assert b"ecretwishes" not in b"".join(p.read_bytes() for p in tmp_path.iterdir())


def test_a_user_keeps_the_arm_that_the_hash_names(parts: Parts, tmp_path: Path) -> None:
    client, trials = served(parts, tmp_path, {"try": SPLIT})
    experiment = trials.experiments["try"]
    with client:
        answers = {u: client.post("/v1/recommend", json={"user_id": u}).json() for u in (f"u{n}" for n in range(30))}
        guest = client.post("/v1/recommend", json={"liked_items": ["i1"]}).json()
    for user, answer in answers.items():
        arm = arm_of("try", experiment, user)
        assert answer["arm"] == (None if arm is None else f"try/{arm}")
        assert (answer["items"][0]["propensity"] is not None) == (arm == "drawn")
    assert guest["arm"] is None and guest["list_id"] is not None
    shown = {served.user: served.arm for _, served in ExposureLog(trials.recorder.log.path).lists()}
    assert shown == {u: arm_of("try", experiment, u) for u in answers} | {"": None}
    assert set(shown.values()) == {None, "plain", "drawn"}


def test_an_arm_may_be_another_bundle_that_replicas_hold(parts: Parts, tmp_path: Path) -> None:
    import asyncio

    for part in ("retriever", "ranker"):
        asyncio.run(parts.serve(part, "first", beside=("second",)))
    client, _ = served(parts, tmp_path, {"new": {"arms": {"a": {}, "b": {"bundle": "second"}}}})
    with client:
        answers = [client.post("/v1/recommend", json={"user_id": f"u{n}"}).json() for n in range(12)]
    assert {(a["arm"], a["bundle"]) for a in answers} == {("new/a", "first"), ("new/b", "second")}


def test_interleaved_lists_say_which_team_brought_what(parts: Parts, tmp_path: Path) -> None:
    arms = {"plain": {}, "drawn": {"explore": {"policy": "epsilon", "rate": 1.0}}}
    client, trials = served(parts, tmp_path, {"mix": {"arms": arms, "design": "interleaving"}})
    with client:
        answers = [client.post("/v1/recommend", json={"user_id": "u3", "k": 6}).json() for _ in range(10)]
    first = Counter[str]()
    for (_, found), answer in zip(ExposureLog(trials.recorder.log.path).lists(), answers, strict=True):
        assert list(found.items) == [i["item_id"] for i in answer["items"]] and len(set(found.items)) == 6
        assert Counter(found.teams) == {"plain": 3, "drawn": 3}
        assert answer["arm"] == "mix/interleaved" and found.arm is None and not found.propensities
        first[found.teams[0]] += 1
    assert len(first) == 2


def test_an_arm_that_fails_is_stopped_for_good_and_says_why(parts: Parts, tmp_path: Path) -> None:
    retriever = Faulty(parts.retriever)
    own_parts = replace(parts, retriever=retriever)
    client, trials = served(own_parts, tmp_path, {"bad": {**SPLIT, "share": 1.0}})
    own = next(u for u in (f"u{n}" for n in range(99)) if arm_of("bad", trials.experiments["bad"], u) == "drawn")
    with client:
        for _ in range(9):
            assert client.post("/v1/recommend", json={"user_id": own}).json()["arm"] == "bad/drawn"
        retriever.faults += [RuntimeError("boom")] * 11
        while retriever.faults:
            assert client.post("/v1/recommend", json={"user_id": own}).status_code >= 500
        after = client.post("/v1/recommend", json={"user_id": own}).json()
        said = client.get("/v1/experiments").json()["experiments"]["bad"]
    assert after["arm"] is None and after["items"][0]["propensity"] is None
    assert said["plain"] is None and said["drawn"].startswith("error rate 0.5")
    again, _ = served(parts, tmp_path, {"bad": {**SPLIT, "share": 1.0}})
    with again:
        assert again.post("/v1/recommend", json={"user_id": own}).json()["arm"] is None


def test_linucb_learns_from_what_comes_back(parts: Parts, tmp_path: Path) -> None:
    from llmrec.exposures.learned import LearnedFeedback

    client, trials = served(parts, tmp_path, {})
    body = {"user_id": "u3", "k": 5, "explore": {"policy": "linucb", "rate": 0.5}}
    with client:
        answer = client.post("/v1/recommend", json=body).json()
        click = {"list_id": answer["list_id"], "item_id": answer["items"][0]["item_id"]}
        client.post("/v1/feedback", json=click)
        client.post("/v1/feedback", json=click | {"kind": "like"})  # one reward a slot
    log = ExposureLog(trials.recorder.log.path)
    ((_, found),) = log.lists()
    learned = LearnedFeedback(log, found.terms)
    learned.catch_up()
    learned.catch_up()
    own = np.asarray(found.contexts, np.float64)[0] if found.contexts is not None else np.zeros((0, 0))
    np.testing.assert_allclose(learned.state.shown, np.eye(len(found.terms)) + own.T @ own)
    np.testing.assert_allclose(learned.state.rewarded, own[0])
    assert (learned.lists, learned.rewards) == (1, 1)
    others = LearnedFeedback(log, ("one", "score"))
    others.catch_up()
    assert others.lists == 0 and not others.state.rewarded.any()


def test_what_is_too_old_or_too_much_leaves_and_a_user_can_be_erased(parts: Parts, tmp_path: Path) -> None:
    client, trials = served(parts, tmp_path, {})
    with client:
        for user in ("u1", "u2", "erase-me", "u3"):
            client.post("/v1/recommend", json={"user_id": user})
    log = ExposureLog(trials.recorder.log.path)
    assert log.forget("erase-me") == 1
    log.close()
    assert not any(b"erase-me" in p.read_bytes() for p in tmp_path.iterdir())
    log = ExposureLog(trials.recorder.log.path)
    assert log.prune(3, 0) == 1 and [s.user for _, s in log.lists()] == ["u2", "u3"]
    assert log.prune(9, 1 << 60) == 2 and not list(log.lists())


def test_the_jobs_read_what_the_server_wrote(parts: Parts, tmp_path: Path) -> None:
    experiments = {"try": {"arms": {"plain": {}, "other": {"need": 0.5}}}}
    client, trials = served(parts, tmp_path, experiments)
    body = {"k": 5, "explore": {"policy": "linucb", "rate": 0.5}}
    with client:
        lists = [client.post("/v1/recommend", json=body | {"user_id": f"u{n}"}).json() for n in range(12)]
        first, second = (found["items"][0]["item_id"] for found in lists[:2])
        client.post("/v1/feedback", json={"list_id": lists[0]["list_id"], "item_id": first})
        client.post("/v1/events", json={"event_id": "bought", "user_id": "u1", "item_id": second})
    serving = ON | {"live": {"enabled": True, "path": parts.log}, "experiments": experiments}
    serving["exposures"] = {"enabled": True, "path": trials.recorder.log.path}
    config = RunConfig.model_validate({"storage": parts.storage.root, "serving": serving})
    (found,) = experiment(config, parts.storage, Namespace(name=None, forget=None))["experiments"]
    assert found["users"] == 12 and found["settled_users"] == 0
    assert found["comparisons"]["other"]["verdict"] == "cannot tell" and set(found["arms"]) == {"plain", "other"}
    asked = Namespace(table=None, target="rate:0.5", depth=1, kind=[], policy="linucb", min_rate=0.0, confidence=0.95)
    estimates = offpolicy(config, parts.storage, asked)
    assert estimates["lists"] == 12 and estimates["mean_weight"] == 1  # the same rate: nothing is weighed
    assert estimates["ips"]["value"] == estimates["logged"]["value"] == pytest.approx(2 / 12)
    assert "12 lists' worth" in estimates["caution"]
    with pytest.raises(ValueError, match="found no 'else'; expected one of: try"):
        experiment(config, parts.storage, Namespace(name="else", forget=None))
    assert experiment(config, parts.storage, Namespace(name=None, forget="u1")) == {"forgotten_lists": 1}


@pytest.mark.parametrize(
    "experiments",
    [{"one": {"arms": {"a": {}}}}, {"mix": {"arms": {"a": {}, "b": {}, "c": {}}, "design": "interleaving"}}],
)
def test_what_is_no_experiment_is_refused(experiments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"found [13]"):
        ServingConfig.model_validate(ON | {"experiments": experiments})
    with pytest.raises(ValueError, match=r"exposures\.enabled"):
        ServingConfig.model_validate({"experiments": {"x": {"arms": {"a": {}, "b": {}}}}})


@pytest.mark.parametrize("body", [{}, {"list_id": "x", "item_id": "i1", "kind": "Bad kind"}, {"list_id": 3}])
def test_feedback_that_says_nothing_is_refused(parts: Parts, tmp_path: Path, body: dict[str, object]) -> None:
    client, _ = served(parts, tmp_path, {})
    with client:
        assert client.post("/v1/feedback", json=body).status_code == 422


def test_an_arm_that_gets_no_feedback_is_stopped(parts: Parts, tmp_path: Path) -> None:
    import asyncio

    guards = {"least": 20, "min_feedback_rate": 0.1}
    client, trials = served(parts, tmp_path, {"dull": {**SPLIT, "share": 1.0, "guards": guards}})
    log, old = trials.recorder.log, 1_600_000_000_000
    shown = [ServedList(f"{arm}{n}", f"u{n}", old, "first", ("i1",), experiment="dull", arm=arm)
             for arm in ("plain", "drawn") for n in range(25)]  # fmt: skip
    log.append(shown[:-1], [Said("drawn3", "i1", "click", old + 5), Said("drawn9", "i1", "click", old + 10**12)])
    assert log.join_said(10_000) == 1  # the other one came too late
    assert log.settled("dull", "drawn", old, 20) == (0, 0)  # nothing is old enough
    asyncio.run(trials.look())
    assert trials.describe() == {
        "dull": {"plain": None, "drawn": "feedback on 0.000 of the last 20 settled lists, at least 0.1"}
    }
    client.close()


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(json.dumps({}) * 1000)
    with pytest.raises(ValueError, match=r"serving\.exposures\.path"):
        ExposureLog(str(tmp_path / "x"))
    db = sqlite3.connect(tmp_path / "y")
    db.execute("PRAGMA user_version=77")
    db.close()
    with pytest.raises(ValueError, match="found format 77"):
        ExposureLog(str(tmp_path / "y"))
