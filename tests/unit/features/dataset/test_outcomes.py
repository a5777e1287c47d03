"""An outcome other than a review: what is asked for, which negatives stand, and what stays a candidate."""

from dataclasses import replace
from typing import Any

import numpy as np
from factories.features import START, T2, World

from llmrec.evaluation.data.folds import Fold, Queries
from llmrec.evaluation.data.protocols import leave_last_out, random_split, temporal
from llmrec.features.asof.interactions import AsOf, Interactions
from llmrec.features.dataset.fitting import draw, shown_in_vain
from llmrec.features.dataset.negatives import NegativeSampler
from llmrec.models.base import Requests
from llmrec.models.retrieval import candidates
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C


def drawn(world: World) -> tuple[Any, NegativeSampler, np.ndarray, np.ndarray]:
    history = world.prepare().history
    sampler, events = NegativeSampler.of(history, 7), np.arange(len(history.data.times))
    return history, sampler, events, draw(history, sampler, events)


def test_impressions_that_led_to_nothing_come_first_and_the_rest_is_drawn() -> None:
    world = World.eventful()
    history, sampler, events, negatives = drawn(world)
    shown = shown_in_vain(history, sampler, events, history.settings.negatives)
    data, some = history.data, 0
    for q in events:
        user, item, time = data.user_rows[q], data.item_rows[q], data.times[q]
        had = set(data.item_rows[(data.user_rows == user) & (data.times <= time)].tolist())
        seen = [
            (e[C.TIMESTAMP], int(history.item_rows([e[C.ITEM_ID]])[0])) for e in world.events
            if e[C.KIND] == "impression" and e[C.USER_ID] == history.user_ids[user]
            and time - DAY_MS < e[C.TIMESTAMP] <= time
        ]  # fmt: skip
        wanted = {i for _, i in seen if i not in had and history.known_since[i] < time}
        mine = set(shown[q][shown[q] > 0].tolist())
        assert mine <= wanted and len(mine) == min(len(wanted), 4) and mine <= set(negatives[q].tolist())
        rest = negatives[q][negatives[q] > 0]
        assert len(set(rest.tolist())) == len(rest) and item not in rest and not had & set(rest.tolist())
        some += len(mine)
    assert some > 3
    plain = drawn(replace(world, events=[e for e in world.events if e[C.KIND] != "impression"]))[3]
    untouched = ~(shown > 0).any(axis=1)
    assert (negatives[untouched] == plain[untouched]).mean() > 0.5, "where nothing was shown, they are drawn as ever"


def test_what_may_come_again_is_a_negative_but_at_the_very_time() -> None:
    history, _, events, negatives = drawn(World.eventful(exclude_seen=False))
    data, again = history.data, 0
    for q in events:
        of_user = data.user_rows == data.user_rows[q]
        now = set(data.item_rows[of_user & (data.times == data.times[q])].tolist())
        past = set(data.item_rows[of_user & (data.times < data.times[q])].tolist()) - now
        assert not now & set(negatives[q].tolist())
        again += len(past & set(negatives[q].tolist()))
    assert again
    assert not len(history.seen(1, T2))


def _some() -> Interactions:
    users, items = list("aaaabbbbcccc"), ["x", "x", "y", "z", "x", "y", "z", "z", "y", "x", "z", "x"]
    times = np.array([1, 2, 3, 4, 1, 2, 3, 5, 1, 3, 4, 6]) * DAY_MS
    return Interactions.from_arrays(users, items, times, outcomes=np.array([0, 1, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1], bool))


def test_only_outcomes_are_asked_for() -> None:
    data = _some()
    split = temporal(data, 2.5 * DAY_MS, 3.5 * DAY_MS)
    assert data.asked[split.test.queries.event].all()
    assert len(split.test.queries) == (data.asked & (data.time >= 3.5 * DAY_MS)).sum()
    assert len(split.test.train) == (data.time < 3.5 * DAY_MS).sum(), "histories and fits see all that happened"
    for split in (leave_last_out(data), random_split(data, 3)):
        asked = split.test.queries.event
        assert data.asked[asked].all() and len(asked)
        pairs = data.user * 100 + data.item
        others = split.test.train[~data.asked[split.test.train]]
        assert not np.isin(pairs[others], pairs[asked]).any(), "a review of what is held out would tell it"


def test_what_users_had_is_a_candidate_where_it_may_come_again() -> None:
    data = _some()
    users, times = np.array([1, 0]), np.full(2, 9 * DAY_MS)
    for exclude in (True, False):
        mine = replace(data, exclude_seen=exclude)
        allowed = candidates(Requests(users, times, AsOf(mine)))
        assert allowed[0, 1:].sum() == (0 if exclude else 3) and allowed[1, 1:].all()
        asked = Queries(np.array([1]), times[:1], np.array([0, 1]), np.array([1]), np.array([0]))
        fold = Fold(mine, "point_in_time", np.arange(3), np.arange(len(data)), asked, True)
        assert fold.missed() == int(exclude)


def test_reviews_beside_the_outcome_are_no_clicks() -> None:
    world = World.random()
    reviews = [r | {C.OUTCOME: n % 3 > 0} for n, r in enumerate(world.reviews)]
    made = Marked(reviews, world.items, world.settings).prepare()
    data, (train, test) = made.history.data, made.clicks
    assert data.outcomes[train.events].all() and data.outcomes[test.events].all()
    assert len(train.events) + len(test.events) == data.outcomes.sum() < len(data.times)
    assert (data.times[train.events] < T2).all() and (data.times[test.events] >= T2).all()
    assert data.times[test.events].max() > START


class Marked(World):
    """Whose reviews say whether they are the outcome."""

    def tables(self) -> Any:
        reviews, items = super().tables()
        import pyarrow as pa

        known = {r[C.REVIEW_ID]: r[C.OUTCOME] for r in self.reviews}
        return reviews.append_column(C.OUTCOME, pa.array([known[i] for i in reviews[C.REVIEW_ID].to_pylist()])), items
