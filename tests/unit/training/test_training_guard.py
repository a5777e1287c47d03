"""The guard of the blend: what loses to one term alone does not order, what helps does, as far as clicks can tell."""

from pathlib import Path

import numpy as np
import pytest
from factories.features import START, T2, World
from factories.training import folds, tiny_config

from llmrec.bundle import Bundle, assemble
from llmrec.models.base import Requests
from llmrec.models.blenders.conditional_logit import ConditionalLogit, ConditionalLogitConfig
from llmrec.models.retrieval import retrieve
from llmrec.models.retrievers.popular.popularity import RecentPopularity, RecentPopularityConfig
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C
from llmrec.training import train
from llmrec.training.guard import MARGIN, Guarded, JudgedLists, gain, gains, guard

COLUMNS = ("two_tower", "click_logit", "log_popularity")


def test_a_gain_is_ndcg_at_10_and_ties_share_their_rank() -> None:
    assert gain(np.array([3.0, 1.0, 2.0]), 2) == pytest.approx(1 / np.log2(3))
    assert gain(np.array([1.0, 1.0, 1.0]), 0) == pytest.approx(1 / np.log2(3))
    assert gain(np.arange(12.0), 1) == 0
    rows = np.array([[4, 2, -1], [4, 2, -1]])
    assert gains(rows, np.array([2, 7])).tolist() == [pytest.approx(1 / np.log2(3)), 0]


def planted(n: int, told: np.ndarray, seed: int = 0, held: float = 1.0) -> JudgedLists:
    """Columns of noise; of query q the target's are higher by `told[:, q]`, (3, n). A share `held` is retrieved."""
    rng = np.random.default_rng(seed)
    values, targets = [rng.normal(size=(40, 3)) for _ in range(n)], rng.integers(40, size=n).tolist()
    for q, (v, target) in enumerate(zip(values, targets, strict=True)):
        v[target] += told[:, q]
    alone = {name: np.array([gain(v[:, c], t) for v, t in zip(values, targets, strict=True)])
             for c, name in enumerate(COLUMNS) if name != "click_logit"}  # fmt: skip
    found = np.sort(rng.permutation(n)[: int(held * n)])
    alone["two_tower"][np.setdiff1d(np.arange(n), found)] = 0
    kept = [values[q] for q in found], [targets[q] for q in found]
    return JudgedLists(rng.integers(n // 2, size=n), rng.integers(40, size=n), alone, *kept, found)


def judged(lists: JudgedLists) -> tuple[dict[str, float], Guarded | None, dict[str, float]]:
    """A blend's weights as fitted, what the guard finds, and the weights that it leaves."""
    config = ConditionalLogitConfig(ridge=0.1)
    blend = ConditionalLogit(config)
    blend.fit(COLUMNS, lists.values, lists.targets)
    fitted = dict(blend.weights)
    return fitted, guard(blend, lambda: ConditionalLogit(config), COLUMNS, lists), dict(blend.weights)


def told(n: int, *levels: float) -> np.ndarray:
    return np.tile(np.array(levels)[:, None], n)


def test_a_blend_that_helps_stays_as_it_was_fitted() -> None:
    fitted, found, left = judged(planted(400, told(400, 1.0, 2.0, 1.0)))
    assert found is not None and found.share == 1 and found.lower > 0.2
    assert left == fitted


def test_popularity_alone_orders_where_the_networks_were_right_and_are_not_any_more() -> None:
    """The click logit knows the first half of the queries, nothing of the others, and is trusted too much."""
    knows = told(400, 0.0, 4.0, 2.0)
    knows[1, 100:] = -1.0
    assert judged(planted(400, knows))[2] == {"two_tower": 0, "click_logit": 0, "log_popularity": 1}


def test_a_retriever_alone_orders_where_it_is_the_best_term() -> None:
    knows = told(400, 2.0, 4.0, 0.0)
    knows[1, 100:] = -1.0
    assert judged(planted(400, knows))[2] == {"two_tower": 1, "click_logit": 0, "log_popularity": 0}


def test_what_retrieval_misses_counts_against_the_blend() -> None:
    """Among the retrieved the blend is better; but half of the targets are not there, where popularity has them."""
    lists = planted(400, told(400, 0.3, 0.5, 2.0), held=0.5)
    found = judged(lists)[1]
    assert found is not None and (found.term, found.share) == ("log_popularity", 0.0)


def test_where_validation_cannot_tell_a_share_of_the_blend_orders() -> None:
    fitted, found, left = judged(planted(240, told(240, 0.0, 0.2, 1.2)))
    assert found is not None and 0 < found.share < 1 and found.lower >= -MARGIN
    assert left["click_logit"] == pytest.approx(found.share * fitted["click_logit"])
    assert left["log_popularity"] == pytest.approx(1 - found.share + found.share * fitted["log_popularity"])


def test_few_queries_judge_nothing() -> None:
    assert judged(planted(199, told(199, 0.0, 0.0, 1.0)))[1] is None


def test_a_blend_that_loses_more_than_the_margin_seldom_stays() -> None:
    """Forty worlds in which the fitted logit hurts: the whole blend may pass in one of twenty."""
    n, passed = 240, 0
    for seed in range(40):
        knows = told(n, 0.0, 1.0, 2.0)
        knows[1, n // 4 :] = -0.3
        found = judged(planted(n, knows, seed))[1]
        passed += found is not None and found.share == 1
    assert passed <= 2


def fashions(seed: int) -> World:
    """Everybody follows the fashion of the day, which moves on every ten days, whatever they like and write."""
    rng, n_users, n_items, n_reviews = np.random.default_rng(seed), 80, 40, 1_400
    base = World.random(n_users=n_users, n_items=n_items, n_reviews=1, seed=seed)
    rows, had = [], set()
    for number in range(n_reviews):
        day, user = number * 90 // n_reviews, int(rng.integers(n_users))
        chance = np.exp(-((np.arange(n_items) + day // 10 * 3) % n_items) / 4)
        item = int(rng.choice(n_items, p=chance / chance.sum()))
        if (user, item) not in had:
            had.add((user, item))
            words = " ".join(f"word{k}" for k in rng.integers(40, size=6))
            ids = {C.REVIEW_ID: f"r{number}", C.USER_ID: f"u{user:03d}", C.ITEM_ID: f"i{item:03d}"}
            rows.append(base.reviews[0] | ids | {C.TIMESTAMP: START + day * DAY_MS, C.TEXT: words})
    return World(rows, [item | {C.AVAILABLE_FROM: START - DAY_MS} for item in base.items], base.settings)


def reached(bundle: Bundle) -> tuple[float, float]:
    """NDCG@10 of the test's events by the bundle, and by recent popularity."""
    context = bundle.context
    data = context.interactions
    late = np.flatnonzero(data.time >= T2)
    states = context.history.users_at(data.user[late], data.time[late])
    requests = Requests(data.user[late], data.time[late], context.as_of, states)
    ours = bundle.recommender(40).recommend(states, data.time[late], 10)[0]
    rival = retrieve(RecentPopularity(RecentPopularityConfig(decay_days=7.0)), requests, 10)[0]
    return float(gains(ours, data.item[late]).mean()), float(gains(rival, data.item[late]).mean())


def test_where_only_noise_was_to_be_learned_the_published_recommender_is_no_worse_than_popularity(
    tmp_path: Path,
) -> None:
    world = folds(tmp_path, fashions(1))
    config = tiny_config(retrievers=["item_knn"], ranker={"name": "lambdarank", "rounds": 40})
    models = train(config, world.storage, world.validation, world.test, ["text"])["text"]
    ours, popular = reached(Bundle.load(assemble(config, world.storage, world.test, models).root))
    assert ours >= (1 - MARGIN) * popular > 0.2


def test_a_blend_of_which_the_guard_leaves_popularity_alone_gives_everybody_the_popular(tmp_path: Path) -> None:
    world = folds(tmp_path, World.random())
    config = tiny_config(retrievers=["item_knn"], ranker="logistic")
    models = train(config, world.storage, world.validation, world.test, ["text"])["text"]
    bundle = Bundle.load(assemble(config, world.storage, world.test, models).root)
    bundle.models.blender.lean(bundle.models.fallback, 0.0)
    model, times = bundle.recommender(6), np.full(3, bundle.last_time)
    users = bundle.history.users_at(np.array([0, 1, 2]), times)
    assert model.by_popularity(users).all() and not model.nothing_known(users)[1:].any()
    rows = model.recommend(users, times, 5)[0]
    place = model.columns.index(model.models.fallback)
    for q in range(3):
        some, time = users.take(np.array([q])), int(times[q])
        allowed = np.flatnonzero(bundle.history.known_items(time))
        allowed = np.setdiff1d(allowed, bundle.history.seen(q, time))
        popular = model.blend_columns(some, allowed, time)[:, place]
        assert np.allclose(np.sort(popular)[::-1][: (rows[q] >= 0).sum()],
                           model.blend_columns(some, rows[q][rows[q] >= 0], time)[:, place])  # fmt: skip
