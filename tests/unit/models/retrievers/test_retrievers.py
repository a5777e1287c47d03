"""Every baseline on a planted checkerboard with the diagonal withheld, and the contract that all of them keep."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from llmrec.evaluation.baselines import candidates, recommend, tune
from llmrec.evaluation.baselines.base import Baseline, Block, Candidate, quality
from llmrec.evaluation.baselines.factors import BPR, IALS
from llmrec.evaluation.baselines.item_item import EASE, SLIM, ItemKNN
from llmrec.evaluation.baselines.neural import NCF, TextFactorization
from llmrec.evaluation.baselines.pointwise import Boosted, TextLogistic
from llmrec.evaluation.baselines.popularity import Popularity

from llmrec.evaluation.data import protocols
from llmrec.evaluation.data.folds import Fold, Queries, Split
from llmrec.features.asof.interactions import END, Interactions
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
MAKERS: dict[str, Callable[[], Baseline]] = {
    "item_knn": ItemKNN,
    "ease": partial(EASE, 5.0),
    "slim": partial(SLIM, 0.01),
    "ials": partial(IALS, 4, 0.1),
    "bpr": partial(BPR, 4, 0.1, 0.001, 100),
    "ncf": partial(NCF, 8, 100, 0.03, 0.3),
    "text_factorization": partial(TextFactorization, 4, 40, 0.02, vectors=PARITY),
}


@pytest.mark.parametrize("name", MAKERS)
def test_finds_the_withheld_diagonal(name: str) -> None:
    model = MAKERS[name]()
    model.fit(FOLD)
    assert quality(recommend(model, FOLD, 1, None), FOLD, "recall@1") >= 0.9


def test_bpr_knows_what_is_popular() -> None:
    """Nobody has a taste; `implicit` draws negatives by popularity, so popular items look no better."""
    rng = np.random.default_rng(0)
    chance = np.linspace(0.02, 0.5, 40)
    users, items = np.nonzero(rng.random((200, 40)) < chance)
    data = Interactions.from_arrays([f"u{u}" for u in users], [f"i{i:02}" for i in items], np.arange(len(users)))
    every = np.arange(len(data))
    fold = Fold(data, "transductive", every, every, FOLD.queries, False)
    found = {}
    for prior in (0.0, 1.0):
        model = BPR(8, 0.05, 0.02, 100, prior)
        model.fit(fold)
        block = Block(np.arange(200), np.full(200, END), data.matrix(every), fold.as_of, np.zeros(200, np.int64))
        found[prior] = float(np.polyfit(np.log(chance), model.scores(block).mean(axis=0), 1)[0])
    assert found[0.0] < 0.35 < 0.75 < found[1.0] < 1.25  # log p(item) has slope 1


@pytest.mark.parametrize("name", [n for n in MAKERS if n != "ncf"])
def test_the_same_fit_gives_the_same_lists(name: str) -> None:
    lists = []
    for _ in range(2):
        model = MAKERS[name]()
        model.fit(FOLD)
        lists.append(recommend(model, FOLD, 3, None).item_rows)
    np.testing.assert_array_equal(*lists)


def clock() -> Split:
    """Taste is the item's parity, known from the first events; popularity drifts; one user comes late."""
    rng = np.random.default_rng(0)
    events = [(f"u{u:02}", f"i{i:02}") for u in range(20) for i in rng.permutation(20) if (u + i) % 2 == 0][:400]
    order = rng.permutation(len(events))
    users, items = [events[k][0] for k in order], [events[k][1] for k in order]
    data = Interactions.from_arrays([*users, "late"], [*items, "i03"], np.arange(len(events) + 1) * DAY_MS)
    return protocols.temporal(data, 120 * DAY_MS, 150 * DAY_MS)


def with_test_changed(fold: Fold) -> Fold:
    """The same corpus with every event from the cut on given to other items."""
    data = fold.data
    item = np.where(data.time >= fold.t, (data.item + 7) % data.n_items, data.item)
    return replace(fold, data=replace(data, item=item))


@pytest.mark.parametrize("name", [*MAKERS, "boosted", "boosted_text", "text_logistic"])
def test_nothing_is_learned_from_the_test(name: str) -> None:
    fold = clock().test
    vectors = np.eye(2, dtype=np.float32)[fold.data.item % 2] + np.float32(0.01)
    late: dict[str, Callable[[], Baseline]] = {
        "boosted": Boosted,
        "boosted_text": partial(Boosted, vectors=vectors),
        "text_logistic": partial(TextLogistic, vectors=vectors),
        "text_factorization": partial(TextFactorization, 4, 3, vectors=vectors),
        "ncf": partial(NCF, 8, 3),
    }
    first = []
    for changed in (fold, with_test_changed(fold)):
        model = late.get(name, MAKERS.get(name, Popularity))()
        model.fit(changed)
        q = fold.queries
        one = Queries(q.user[:1], q.time[:1], q.indptr[:2], q.item[:1], q.event[:1])
        asked = replace(changed, queries=one)
        first.append(recommend(model, asked, 5, 30.0).item_rows)
    np.testing.assert_array_equal(*first)


def test_without_history_recent_popularity_answers() -> None:
    fold = clock().test
    model = EASE(5.0)
    model.fit(fold)
    late = np.flatnonzero(fold.queries.user == fold.data.user_ids.index("late"))
    recent = recommend(Popularity(30.0), fold, 5, None)
    found = recommend(model, fold, 5, 30.0)
    np.testing.assert_array_equal(found.item_rows[late], recent.item_rows[late])
    assert (found.item_rows != recent.item_rows).any()


def test_text_decides_where_only_text_knows() -> None:
    """Items are reviewed once or twice: who reviewed them says nothing, what was written does."""
    rng = np.random.default_rng(1)
    n = 600
    taste = rng.integers(2, size=60)
    user = rng.integers(60, size=n)
    item = np.arange(n) // 3 * 2 + taste[user]
    data = Interactions.from_arrays(
        [f"u{u}" for u in user], [f"i{i}" for i in item], np.arange(n) * DAY_MS,
        available_from={f"i{i}": -1 for i in range(item.max() + 1)},
    )  # fmt: skip
    parity = np.array([int(i[1:]) % 2 for i in data.item_ids])
    vectors = np.eye(2, dtype=np.float32)[parity[data.item]] + rng.normal(0, 0.05, (n, 2)).astype(np.float32)
    fold = protocols.temporal(data, 400 * DAY_MS, 480 * DAY_MS).test
    found = {}
    for name, model in (
        ("without", Boosted()),
        ("with", Boosted(vectors=vectors)),
        ("text", TextLogistic(vectors=vectors)),
    ):
        model.fit(fold)
        top = recommend(model, fold, 10, 30.0)
        users = np.repeat(fold.queries.user, 10).reshape(-1, 10)
        own = np.array([taste[int(u[1:])] for u in data.user_ids])[users]
        reviewed = np.bincount(data.item[data.time < 480 * DAY_MS], minlength=data.n_items) > 0
        right = (parity[top.item_rows] == own)[reviewed[top.item_rows]]
        found[name] = right.mean()
    assert found["with"] > 0.75 and found["text"] > 0.75
    assert found["without"] < found["with"] - 0.1


def test_tuning_chooses_on_validation_and_states_its_budget() -> None:
    split = clock()
    grid = [{"decay_days": d} for d in (1.0, 10.0, 100.0, 1000.0)]
    tuned = tune(Candidate("p", Popularity, grid), split, "ndcg@10", budget=3, fallback_days=None)
    tried = [s for s, _ in tuned.scores]
    assert len(tried) == 3 and tuned.settings in tried
    assert dict(tuned.settings) == max(tuned.scores, key=lambda pair: pair[1])[0]


def test_an_unknown_name_is_refused_with_those_known() -> None:
    with pytest.raises(ValueError, match=r"found \['esae'\], expected names among .*ease"):
        candidates("quick", ("esae",))
    assert [c.name for c in candidates("quick", ("ease",))] == ["recent_popularity", "ease"]
