"""Turns of a refresh, whole, on a small served bundle: what is published, what is not, and what a server then knows."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.features import DIM, encode
from factories.refresh import ENCODER, NAME, Served, make_served, stub_encode

from llmrec import registry
from llmrec.bundle import Bundle, read_settings
from llmrec.config import RunConfig
from llmrec.config.data.events import OutcomeConfig
from llmrec.config.serving.refresh import RefreshConfig
from llmrec.live.context import LiveContext
from llmrec.live.event_log import Fact, open_event_log
from llmrec.live.follower import LiveState
from llmrec.live_bundle import LogFile, go_live
from llmrec.refresh import stages, watch
from llmrec.refresh.compare import Comparison
from llmrec.refresh.turn import take_turn
from llmrec.schema import DAY_MS, C
from llmrec.storage import Artifact, Storage


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return make_served(tmp_path_factory.mktemp("served"))


@pytest.fixture
def served(made: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    return copied(made, tmp_path, monkeypatch)


def copied(made: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Served:
    """A copy, with an empty log; storage at the same kind of place, the corpus's files where they were."""
    monkeypatch.setattr(stages.encoding, "encode", stub_encode)
    root = tmp_path / "storage"
    shutil.copytree(made.storage.root, root, ignore=shutil.ignore_patterns("live"))
    storage, config = Storage(str(root)), made.config.model_copy(update={"storage": str(root)})
    bundle = storage.find("bundle", made.bundle.id)
    assert bundle is not None
    return Served(config, storage, bundle, made.later, open_event_log(f"{root}/live/{NAME}.sqlite"), made.doings)


def turn(served: Served, **refresh: Any) -> dict[str, Any]:
    settings = RefreshConfig(**(served.config.refresh.model_dump() | refresh))
    config: RunConfig = served.config.model_copy(update={"refresh": settings})
    return take_turn(config, served.storage, lambda *_: None)


def bundle_of(served: Served, answer: dict[str, Any]) -> Artifact:
    found = served.storage.find("bundle", answer["candidate"])
    assert found is not None
    return found


def as_served(served: Served, bundle: Artifact) -> tuple[Bundle, LiveState]:
    loaded = Bundle.load(bundle.root, LiveContext.of)
    live, _ = go_live(loaded, LogFile(served.log.path, 1_000_000, 0.1))
    live.catch_up()
    return loaded, live


def test_what_came_is_learned_published_and_counted_once(served: Served) -> None:
    before, _ = as_served(served, served.bundle)
    served.send(served.later)
    answer = turn(served)
    assert answer["published"]["id"] == registry.current(served.storage, NAME)["id"] == answer["candidate"]
    assert answer["new_events"] == len(served.later) and answer["held_back"] == 0
    assert answer["compared"]["queries"] == round(0.3 * len(served.later))
    old, alive = as_served(served, served.bundle)
    new, fresh = as_served(served, bundle_of(served, answer))
    assert fresh.describe()["copies"] == len(served.later) and fresh.describe()["events"] == 0
    assert alive.describe()["events"] == len(served.later) and alive.describe()["copies"] == 0
    assert before.last_time < new.last_time
    assert new.context.spec.cutoff > old.context.spec.cutoff
    ids, now = list(new.history.user_ids)[1:], new.last_time + DAY_MS
    assert set(ids) == set(list(old.history.user_ids)[1:])
    one, other = (b.history.users_at(b.history.user_rows(ids), np.full(len(ids), now)) for b in (old, new))
    for name in ("count", "stars", "text_weight"):  # the state of both is the same: the reductions are kept, too
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-5, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(one.text, other.text, atol=1e-4)
    items = list(new.history.item_ids)[1:]
    counts = [b.history.item_counts(b.history.item_rows(items), np.full(len(items), now)) for b in (old, new)]
    for name in vars(counts[0]):
        np.testing.assert_allclose(*(getattr(c, name) for c in counts), rtol=1e-9, err_msg=name)


def test_events_of_every_kind_and_relations_are_learned_and_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made").mkdir()
    served = copied(make_served(tmp_path / "made", eventful=True, user_share=1), tmp_path, monkeypatch)
    served.send(served.later)  # reviews, beside another outcome
    served.do()
    asked = [e for e in served.doings if e[C.KIND] == "purchase"]
    answer = turn(served)
    assert answer["published"] is not None and answer["waiting"] == 0
    assert answer["new_events"] == len(asked) + len(served.later) and 0 < answer["compared"]["queries"] < len(asked)
    old, alive = as_served(served, served.bundle)
    new, fresh = as_served(served, bundle_of(served, answer))
    n = len(served.later) + len(served.doings)
    assert (alive.describe()["events"], alive.describe()["follows"], alive.describe()["copies"]) == (n, 1, 0)
    assert (fresh.describe()["events"], fresh.describe()["follows"], fresh.describe()["copies"]) == (0, 0, n)
    ids, now = list(new.history.user_ids)[1:], new.last_time + DAY_MS
    users = [b.history.users_at(b.history.user_rows(ids), np.full(len(ids), now)) for b in (old, new)]
    items = [b.history.items_at(np.arange(1, 30), np.full(29, now)) for b in (old, new)]
    assert old.history.further.kinds == new.history.further.kinds == tuple(sorted({e[C.KIND] for e in served.doings}))
    for one, other in (users, items):
        np.testing.assert_array_equal(one.events, other.events)
        np.testing.assert_array_equal(one.count, other.count)
    for name in ("recent_items", "recent_kinds", "recent_near", "recent_values", "follows", "followed_near"):
        np.testing.assert_array_equal(*(getattr(state, name) for state in users), err_msg=name)


def test_an_event_after_the_bundles_point_counts_and_what_is_held_back_does_not(served: Served) -> None:
    served.send(served.later[:-1])
    last = served.later[-1][C.TIMESTAMP]
    fakes = [served.event(f"fake{n}", f"bot{n}", "P0000001", last + n) for n in range(1000)]
    served.log.append([fakes])
    answer = turn(served, least_held=20, item_share=0.02)
    before, after = (Bundle.load(b.root).history for b in (served.bundle, bundle_of(served, answer)))
    had, has = (int((h.data.item_rows[:] == h.item_rows(["P0000001"])[0]).sum()) for h in (before, after))
    bound = int((1000 + len(served.later) - 1) * max(0.02, 3 * had / len(before.data.times)))  # stated beforehand
    assert 20 <= bound < 100 and answer["held_items"]["P0000001"] >= 1000 - bound
    assert 0 < has - had <= bound
    point = read_settings(bundle_of(served, answer).root).log
    assert point is not None and len(point.held) == answer["held_back"]
    served.log.append([[served.event("later", "somebody", "P0000002", last + 5000)]])
    _, live = as_served(served, bundle_of(served, answer))
    assert live.describe()["held_back"] == answer["held_back"]
    assert live.describe()["events"] == 1


def test_what_is_not_shown_to_be_no_worse_is_not_published(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.send(served.later)
    monkeypatch.setattr("llmrec.refresh.turn.compared", lambda *_: Comparison(0.1, 0.1, -0.02, 0.02, 78, 0.95))
    answer = turn(served, tolerance=0.1)
    assert answer["published"] is None and "-0.02000, is below -0.01000" in answer["because"]
    assert registry.current(served.storage, NAME)["id"] == served.bundle.id
    assert turn(served, tolerance=0.3)["published"]["previous"] == 1  # events are gathered again: nothing was lost


def test_a_turn_that_was_cut_off_goes_on_where_it_stood(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.send(served.later)
    go_on = stages.training.go_on

    def killed(*_: Any) -> Artifact:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages.training, "go_on", killed)
    with pytest.raises(KeyboardInterrupt):
        turn(served)
    monkeypatch.setattr(stages.training, "go_on", go_on)
    served.log.append([[served.event("meanwhile", "somebody", "P0000002", served.later[-1][C.TIMESTAMP] + 1)]])
    seen: dict[str, bool] = {}
    config = served.config
    answer = take_turn(config, served.storage, lambda stage, made, _: seen.update({stage: made[stage].reused}))
    assert answer["turn"] == 1 and answer["published"] is not None
    assert seen == {"corpus": True, "embeddings": True, "examples": True, "models": False, "bundle": False}
    assert answer["new_events"] == len(served.later)  # as it was planned
    _, live = as_served(served, bundle_of(served, answer))
    assert live.describe()["events"] == 1


def test_too_little_that_is_new_changes_nothing(served: Served) -> None:
    served.send(served.later[:39])
    assert "39 new events, expected at least 40" in turn(served)["because"]
    assert not (Path(served.storage.root) / "refresh").exists()


def test_an_item_that_was_put_is_an_item_and_a_deleted_one_is_in_no_list(served: Served) -> None:
    time = served.later[0][C.TIMESTAMP]

    def put(name: str, **told: Any) -> Fact:
        body = {"title": None, "brand": None, "categories": [], "description": None, "price": None, "words": None}
        return Fact("item", name, told, body | told | {"hidden": False, "time": time})

    served.log.append([[put("NEW", title="a quiet lamp", words="a quiet lamp"), put("GONE", title="nobody's")]])
    served.log.speak(ENCODER, [(1, encode(["a quiet lamp"], DIM)[0]), (2, None)])
    rows = [r | {C.ITEM_ID: "NEW"} if n % 10 == 0 else r for n, r in enumerate(served.later)]
    served.send(rows)
    served.log.append([[Fact("item", "GONE", {}, {"hidden": True, "time": time})]])
    served.log.append([[Fact("item", "P0000002", {}, {"hidden": True, "time": time})]])
    answer = turn(served)
    assert answer["published"] is not None
    plain = Bundle.load(bundle_of(served, answer).root)
    new = int(plain.history.item_rows(["NEW"])[0])
    assert new > 0 and not plain.history.item_rows(["GONE"])[0]
    assert plain.history.known_since[new] == time
    assert plain.context.spec.item_idx(np.array([new]))[0] > 0  # it has an id of its own
    fresh, live = as_served(served, bundle_of(served, answer))
    assert live.describe()["hidden_items"] == 2
    np.testing.assert_allclose(fresh.history.data.description[np.array([new])],
                               plain.history.data.description[np.array([new])])  # fmt: skip
    users = fresh.history.users_at(np.arange(1, 20), np.full(19, fresh.last_time + DAY_MS))
    lists, _ = fresh.recommender(60).recommend(users, np.full(19, fresh.last_time + DAY_MS), 50)
    assert not (lists == fresh.history.item_rows(["P0000002"])[0]).any() and (lists == new).any()


def test_what_does_worse_than_the_bundle_before_is_rolled_back(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.send(served.later)
    published = turn(served)["published"]
    monkeypatch.setattr(watch, "events_since", lambda *_: stages.Asked(["u"] * 50, ["i"] * 50, np.arange(50)))
    asked_of = list[str]()

    def values(bundle: Artifact, *_: Any) -> np.ndarray:
        asked_of.append(bundle.id)
        return np.full(50, 0.5 if bundle.id == published["id"] else 0.6) + 0.01 * np.arange(50)

    monkeypatch.setattr(watch, "served_values", values)
    monkeypatch.setattr(watch, "compared", lambda *_: Comparison(0.5, 0.6, -0.2, 0.01, 50, 0.99))
    assert "rolled_back" not in turn(served)  # it may be chance
    monkeypatch.setattr(watch, "compared", lambda *_: Comparison(0.5, 0.6, -0.2, -0.01, 50, 0.99))
    answer = turn(served)
    assert answer["rolled_back"] == {"from": published["id"], "to": served.bundle.id}
    assert registry.current(served.storage, NAME)["id"] == served.bundle.id
    assert asked_of[-2:] == [published["id"], served.bundle.id]


def test_the_live_metric_reads_what_came_and_happened_since(served: Served) -> None:
    served.send(served.later)
    point = stages.LogPoint(log="l", through=3, events=3, held=(5,))
    times = sorted(r[C.TIMESTAMP] for r in served.later[3:])
    asked = watch.events_since(served.log, point, times[50] / 1000, OutcomeConfig())
    expected = [r for n, r in enumerate(served.later) if n > 2 and n != 4 and r[C.TIMESTAMP] > times[50]]
    assert asked.times.tolist() == sorted(r[C.TIMESTAMP] for r in expected)
    assert sorted(asked.items) == sorted(r[C.ITEM_ID] for r in expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"repeats": "last"}, "repeats 'last', expected 'keep'"),
     ({"outcome": OutcomeConfig(kind="purchase")}, "'purchase'.*, expected .*'review'")],
)  # fmt: skip
def test_what_the_log_cannot_become_is_refused_by_name(served: Served, change: dict[str, Any], message: str) -> None:
    rows = served.config.corpus.model_copy(update=change)
    with pytest.raises(ValueError, match=message):
        take_turn(served.config.model_copy(update={"corpus": rows}), served.storage, lambda *_: None)
