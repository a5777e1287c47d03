"""Popularity that adapts: it follows a change of fashion, by what was before each day alone, online as offline."""

import pickle

import numpy as np
from factories.features import START, World

from llmrec.features.asof.interactions import AsOf, Interactions
from llmrec.live.context import LiveContext
from llmrec.models.base import FitData, Requests
from llmrec.models.linear import log_likelihood
from llmrec.models.retrievers.popular.adaptive_popularity import AdaptivePopularity, AdaptivePopularityConfig
from llmrec.models.retrievers.popular.dynamic_logit import Beliefs
from llmrec.models.retrievers.popular.popularity import RecentPopularity, RecentPopularityConfig
from llmrec.schema import DAY_MS, event_order

N_ITEMS, CHANGE, LAST = 30, 200, 300


def events(seed: int = 0) -> tuple[list[str], list[str], np.ndarray]:
    """Until CHANGE everybody takes what is always taken; then what was taken in the last days."""
    rng = np.random.default_rng(seed)
    users, items, times = [], [], []
    always = np.exp(-np.arange(N_ITEMS) / 6)
    for day in range(LAST):
        now = always if day < CHANGE else np.exp(-((np.arange(N_ITEMS) + 7 * (day // 15)) % N_ITEMS) / 3)
        for k in range(6):
            users.append(f"u{day:03d}-{k}")
            items.append(f"i{rng.choice(N_ITEMS, p=now / now.sum()):02d}")
            times.append(day * DAY_MS + int(rng.integers(DAY_MS)))
    return users, items, np.array(times)


def interactions(until: int = LAST) -> Interactions:
    users, items, times = events()
    kept = np.flatnonzero(times < until * DAY_MS)
    known = {f"i{k:02d}": -1 for k in range(N_ITEMS)}
    return Interactions.from_arrays(
        [users[k] for k in kept], [items[k] for k in kept], times[kept], available_from=known
    )


def fitted(data: Interactions, until: int = CHANGE, **settings: object) -> AdaptivePopularity:
    model = AdaptivePopularity(AdaptivePopularityConfig(**settings))
    model.fit(FitData(data, np.flatnonzero(data.time < until * DAY_MS), AsOf(data)))
    return model


def likelihood(model: AdaptivePopularity | RecentPopularity, data: Interactions, start: int) -> float:
    """Mean log likelihood of the events from a day on, scores being logits; of counts their logarithm."""
    late, as_of = np.flatnonzero(data.time >= start * DAY_MS), AsOf(data)
    scores = model.scores(Requests(data.user[late], data.time[late], as_of))[:, 1:].astype(np.float64)
    scores = scores if isinstance(model, AdaptivePopularity) else np.log1p(scores)
    return float(np.mean([log_likelihood(s, i - 1) for s, i in zip(scores, data.item[late], strict=True)]))


def test_beliefs_come_to_the_weights_that_drew_the_events() -> None:
    rng, true, beliefs = np.random.default_rng(0), np.array([1.0, -0.5]), Beliefs.of(np.zeros(2), 1.0)
    for _ in range(300):
        rows = rng.normal(size=(20, 2))
        p = np.exp(rows @ true)
        beliefs = beliefs.after(rows, rng.multinomial(5, p / p.sum()).astype(float))
    assert np.abs(beliefs.mean - true).max() < 0.1 and np.sqrt(np.diag(beliefs.covariance)).max() < 0.05
    assert (np.diag(beliefs.drifted(0.5).covariance) > 0.5).all()


def test_it_follows_a_change_that_no_fixed_window_was_chosen_for() -> None:
    """Before the change all of time is best, and the long window would be chosen; after it the model has moved."""
    data = interactions()
    model, longest = fitted(data), RecentPopularity(RecentPopularityConfig(decay_days=365.0))
    as_of = AsOf(data)
    before, after = (model.weights(as_of, day) for day in (CHANGE, LAST))
    assert after[1] - before[1] > 0.2 and after[3] < before[3]  # to 14 days' count, from 365 days'
    assert likelihood(model, data, CHANGE + 30) > likelihood(longest, data, CHANGE + 30) + 0.05


def test_only_events_before_the_day_teach() -> None:
    whole, short = interactions(), interactions(until=250)
    model = fitted(whole)
    for day in (205, 249, 250):
        np.testing.assert_array_equal(model.weights(AsOf(whole), day), model.weights(AsOf(short), day))
    assert (model.weights(AsOf(whole), 251) != model.weights(AsOf(short), 251)).any()


def test_the_order_in_which_days_are_asked_changes_no_bit() -> None:
    data = interactions()
    model, as_of, days = fitted(data), AsOf(data), [251, 203, 299, 251, 240]
    alone = [model.weights(AsOf(data), day) for day in days]
    assert all(np.array_equal(model.weights(as_of, day), one) for day, one in zip(days, alone, strict=True))
    copied = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copied.weights(as_of, 240), alone[-1])


def test_it_learns_from_no_more_days_than_it_is_told() -> None:
    data = interactions()
    short, all_of_it = fitted(data, learn_days=20), fitted(data)
    assert int(short.state()["first_day"][0]) == CHANGE - 1 - 20 and int(all_of_it.state()["first_day"][0]) == 0
    assert np.array_equal(short.weights(AsOf(data), 150), [0, 0, 0, 1, 0, 0, 0, 0])


def test_live_events_teach_as_those_of_a_corpus_do_whenever_they_come() -> None:
    world = World.random(n_reviews=300)
    made = world.prepare()
    context = LiveContext.of(made.spec, made.history, "text")
    model = AdaptivePopularity(AdaptivePopularityConfig(), context)
    model.fit(FitData(context.interactions, np.arange(200), context.as_of))
    day, rng, history = START // DAY_MS + 95, np.random.default_rng(0), context.history
    model.weights(context.as_of, day)
    users, items = rng.integers(1, 20, 40), rng.integers(1, 16, 40)
    times = START + rng.integers(60, 95, 40) * DAY_MS  # late ones among them
    names = [[ids[int(row)] for row in rows] for ids, rows in ((history.user_ids, users), (history.item_ids, items))]
    for k in range(0, 40, 10):
        part = slice(k, k + 10)
        orders = event_order(names[0][part], names[1][part])
        history.place(users[part], items[part], times[part], orders, np.full(10, np.nan, np.float32))
        online = model.weights(context.as_of, day)
    data = context.interactions
    both = [np.concatenate(pair) for pair in ((data.user, users), (data.item, items), (data.time, times))]
    order = np.argsort(both[2], kind="stable")
    whole = Interactions(data.user_ids, data.item_ids, *(b[order] for b in both), np.zeros(len(order), np.float32),
                         data.known_from)  # fmt: skip
    np.testing.assert_allclose(online, model.weights(AsOf(whole), day), rtol=1e-7)
