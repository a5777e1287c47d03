"""Every registered retriever on a planted checkerboard with the diagonal withheld, and what all of them keep."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from llmrec.catalogue import MODELS
from llmrec.evaluation.data import protocols
from llmrec.evaluation.data.folds import Fold, Queries, Split
from llmrec.evaluation.ranking.baselines import WithFallback, fit_data, info, make, quality
from llmrec.evaluation.ranking.ranking_model import lists_of
from llmrec.evaluation.ranking.topk import TopK
from llmrec.features.asof.interactions import END, AsOf, Interactions
from llmrec.features.asof.text_profiles import Vectors
from llmrec.models.base import FitData, Requests, Retriever
from llmrec.models.files.weights_file import load_arrays, save_arrays
from llmrec.schema import DAY_MS

N = 24


def checkerboard() -> tuple[Interactions, Fold]:
    """User u likes every item of u's parity; the item of u's own number is withheld, and asked for."""
    pairs = [(u, i) for u in range(N) for i in range(N) if (u + i) % 2 == 0]
    users, items = [f"u{u:02}" for u, _ in pairs], [f"i{i:02}" for _, i in pairs]
    data = Interactions.from_arrays(users, items, np.arange(len(pairs)) * DAY_MS)
    withheld = np.flatnonzero(data.user == data.item)
    withheld = withheld[np.argsort(data.user[withheld])]
    train = np.setdiff1d(np.arange(len(data)), withheld)
    asked = Queries(data.user[withheld], np.full(N, END), np.arange(N + 1), data.item[withheld], withheld)
    return data, Fold(data, "transductive", train, train, asked, False)


DATA, FOLD = checkerboard()
PARITY = np.eye(2, dtype=np.float32)[DATA.item % 2] + np.float32(0.01)  # what each review says
#: Settings with which each learns the checkerboard.
SETTINGS: dict[str, dict[str, Any]] = {
    "item_knn": {},
    "ease": {"regularization": 5},
    "slim": {"alpha": 0.01},
    "ials": {"factors": 4, "regularization": 0.1},
    "bpr": {"factors": 4, "learning_rate": 0.1, "regularization": 0.001},
    "ncf": {"dim": 8, "epochs": 100, "learning_rate": 0.03, "weight_decay": 0.3},
    "text_factorization": {"dim": 4, "epochs": 40, "learning_rate": 0.02},
}
#: Read the clock, so that a checkerboard at the end of time is nothing to them.
CLOCKED = ("boosted", "boosted_text", "text_logistic")
QUICK = {"ncf": {"dim": 8, "epochs": 3}, "text_factorization": {"dim": 4, "epochs": 3}}
#: All that can be fitted on events and vectors alone.
NAMES = [name for name in MODELS["retriever"] if info(name).reads in ("events", "text")]


def fitted(name: str, settings: dict[str, Any], fold: Fold, vectors: Vectors | None = None) -> Retriever:
    model = make(name, settings)
    model.fit(fit_data(fold, vectors, 7))
    return model


def lists(model: Retriever, fold: Fold, k: int, days: float | None = None) -> TopK:
    return lists_of(WithFallback(model, days), fold, k)


def test_every_retriever_is_tested() -> None:
    assert {*SETTINGS, *CLOCKED, "popularity", "recent_popularity", "time_at_risk",
            "adaptive_popularity"} == set(NAMES)  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_finds_the_withheld_diagonal(name: str) -> None:
    model = fitted(name, SETTINGS[name], FOLD, PARITY)
    assert quality(lists(model, FOLD, 1), FOLD, "recall@1") >= 0.9


def test_bpr_knows_what_is_popular() -> None:
    """Nobody has a taste; `implicit` draws negatives by popularity, so popular items look no better."""
    rng = np.random.default_rng(0)
    chance = np.linspace(0.02, 0.5, 40)
    users, items = np.nonzero(rng.random((200, 40)) < chance)
    data = Interactions.from_arrays([f"u{u}" for u in users], [f"i{i:02}" for i in items], np.arange(len(users)))
    every = np.arange(len(data))
    asked = Requests(np.arange(1, 201), np.full(200, END), AsOf(data))
    found = {}
    for prior in (0.0, 1.0):
        model = make("bpr", {"factors": 8, "learning_rate": 0.05, "regularization": 0.02, "prior": prior})
        model.fit(FitData(data, every, AsOf(data)))
        found[prior] = float(np.polyfit(np.log(chance), model.scores(asked)[:, 1:].mean(axis=0), 1)[0])
    assert found[0.0] < 0.35 < 0.75 < found[1.0] < 1.25  # log p(item) has slope 1


def clock() -> Split:
    """Taste is the item's parity, known from the first events; popularity drifts; one user comes late."""
    rng = np.random.default_rng(0)
    events = [(f"u{u:02}", f"i{i:02}") for u in range(20) for i in rng.permutation(20) if (u + i) % 2 == 0][:400]
    order = rng.permutation(len(events))
    users, items = [events[k][0] for k in order], [events[k][1] for k in order]
    data = Interactions.from_arrays([*users, "late"], [*items, "i03"], np.arange(len(events) + 1) * DAY_MS)
    return protocols.temporal(data, 120 * DAY_MS, 150 * DAY_MS)


CLOCK = clock().test
VECTORS = np.eye(2, dtype=np.float32)[CLOCK.data.item % 2] + np.float32(0.01)


@pytest.fixture(scope="module")
def once() -> dict[str, Retriever]:
    """Each retriever, fitted on the clock."""
    return {name: fitted(name, QUICK.get(name, SETTINGS.get(name, {})), CLOCK, VECTORS) for name in NAMES}


def asked(fold: Fold = CLOCK) -> Requests:
    """Every query of the fold, and somebody unknown."""
    users, times = fold.queries.user, fold.queries.time
    return Requests(np.append(users, 0), np.append(times, times[-1]), fold.as_of)


def with_test_changed(fold: Fold) -> Fold:
    """The same corpus with every event from the cut on given to other items."""
    data = fold.data
    item = np.where(data.time >= fold.t, (data.item - 1 + 7) % (data.n_items - 1) + 1, data.item)
    return replace(fold, data=replace(data, item=item))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_learned_from_the_test(name: str, once: dict[str, Retriever]) -> None:
    q, changed = CLOCK.queries, with_test_changed(CLOCK)
    first = Queries(q.user[:1], q.time[:1], q.indptr[:2], q.item[:1], q.event[:1])
    other = fitted(name, QUICK.get(name, SETTINGS.get(name, {})), changed, VECTORS)
    found = [
        lists(model, replace(fold, queries=first), 5, 30.0) for model, fold in ((once[name], CLOCK), (other, changed))
    ]
    np.testing.assert_array_equal(found[0].item_rows, found[1].item_rows)
    np.testing.assert_array_equal(found[0].scores, found[1].scores)
    later = [lists(model, fold, 5, 30.0).scores for model, fold in ((once[name], CLOCK), (other, changed))]
    assert (later[0] != later[1]).any()  # the positive control: later queries do see it


@pytest.mark.parametrize("name", NAMES)
def test_the_same_fit_gives_the_same_scores(name: str, once: dict[str, Retriever]) -> None:
    again = fitted(name, QUICK.get(name, SETTINGS.get(name, {})), CLOCK, VECTORS)
    np.testing.assert_array_equal(again.scores(asked()), once[name].scores(asked()))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_saved_answers_the_same(name: str, once: dict[str, Retriever], tmp_path: Path) -> None:
    """Through a file, with no training rows in sight, as a server loads it."""
    model, file = once[name], str(tmp_path / "weights.safetensors")
    save_arrays(file, model.state())
    loaded = make(name, model.config.model_dump())
    loaded.restore(load_arrays(file), replace(fit_data(CLOCK, VECTORS, 99), train=np.zeros(0, np.int64)))
    scores = model.scores(asked())
    assert scores.shape == (len(CLOCK.queries) + 1, CLOCK.data.n_items) and np.isfinite(scores).all()
    np.testing.assert_array_equal(loaded.scores(asked()), scores)
    np.testing.assert_array_equal(loaded.answers(asked()), model.answers(asked()))


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_those_of_each_request_alone(name: str, once: dict[str, Retriever]) -> None:
    model, requests = once[name], asked()
    whole, rows = model.scores(requests), np.array([[3, 1, -1], [2, 5, 4]])
    some = np.array([0, len(requests) - 1])
    np.testing.assert_allclose(model.scores(requests.take(some)), whole[some], rtol=1e-5, atol=1e-6)
    of_rows = model.scores_of(requests.take(some), rows)
    np.testing.assert_allclose(of_rows[rows > 0], whole[some[:, None], rows][rows > 0], rtol=1e-5, atol=1e-6)
    allowed = np.zeros((2, CLOCK.data.n_items), np.bool_)
    allowed[:, 4] = True
    masked = model.retrieve_scores(requests.take(some), allowed)
    assert np.isfinite(masked[:, 4]).all() and np.isneginf(np.delete(masked, 4, axis=1)).all()


@pytest.mark.parametrize("name", NAMES)
def test_of_somebody_unknown_only_those_answer_who_say_so(name: str, once: dict[str, Retriever]) -> None:
    known = once[name].answers(asked())
    assert known[-1] == info(name).answers_all and known[:-1].mean() > 0.9


def test_text_decides_where_only_text_knows() -> None:
    """Items are reviewed three times: who reviewed them says nothing, what was written does."""
    rng = np.random.default_rng(1)
    n = 900
    taste = rng.integers(2, size=60)
    user = rng.integers(60, size=n)
    item = np.arange(n) // 3 * 2 + taste[user]
    data = Interactions.from_arrays(
        [f"u{u:02}" for u in user], [f"i{i:03}" for i in item], np.arange(n) * DAY_MS,
        available_from={f"i{i:03}": -1 for i in range(item.max() + 1)},
    )  # fmt: skip
    parity = np.array([-1] + [int(i[1:]) % 2 for i in data.item_ids[1:]])
    vectors = np.eye(2, dtype=np.float32)[parity[data.item]] + rng.normal(0, 0.05, (n, 2)).astype(np.float32)
    fold = protocols.temporal(data, 600 * DAY_MS, 780 * DAY_MS).test
    own = np.array([-1, *taste])[fold.queries.user]
    known = np.unique(data.item[data.time < 780 * DAY_MS])  # reviewed: their text can be read
    label = parity[known][None, :] == own[:, None]
    asked = Requests(fold.queries.user, fold.queries.time, fold.as_of)
    auc = {}
    for name in CLOCKED:
        scores = fitted(name, {}, fold, vectors).scores(asked)[:, known]
        auc[name] = float(np.mean([roc_auc_score(y, s) for y, s in zip(label, scores, strict=True)]))
    assert auc["text_logistic"] > 0.95 and auc["boosted_text"] > 0.75 and auc["boosted"] < 0.55, auc
