"""Every retriever answers about users and items that came after it was fitted; about others as it did before."""

from typing import Any

import numpy as np
import pytest
from factories.features import START, World

from llmrec.config import TrainingConfig
from llmrec.live.asof.live_items import ItemFields
from llmrec.live.context import LiveContext
from llmrec.live.widened import Widened
from llmrec.models.base import Requests
from llmrec.models.files.store import fit_data, make_model
from llmrec.models.retrieval import retrieve
from llmrec.schema import DAY_MS, event_order

POPULARITIES = ("popularity", "recent_popularity", "time_at_risk", "adaptive_popularity")
NAMES = (*POPULARITIES, "ease", "item_knn", "slim", "ials", "bpr", "ncf",
         "text_factorization", "text_similarity", "text_logistic", "two_tower", "sasrec", "hstu")  # fmt: skip
NOW = START + 95 * DAY_MS


@pytest.fixture(scope="module")
def world() -> Any:
    return World.random().prepare()


def request(context: LiveContext, *users: str) -> Requests:
    rows, times = context.history.user_rows(users), np.full(len(users), NOW)
    return Requests(rows, times, context.as_of, context.history.users_at(rows, times))


@pytest.mark.parametrize("name", NAMES)
def test_it_answers_about_what_came_after_it_was_fitted(world: Any, name: str) -> None:
    context = LiveContext.of(world.spec, world.history, "text")
    (config,) = TrainingConfig(retrievers=[name]).retrievers
    model = make_model("retriever", config, context)
    if name not in ("two_tower", "sasrec", "hstu"):  # networks that Ray Train fits: random weights will do
        model.fit(fit_data(context, model, np.arange(len(world.history.data.times))))
    widened, history = Widened(model, context), context.history
    before = widened.scores(request(context, "u003", "u007"))
    np.testing.assert_array_equal(before, model.scores(request(context, "u003", "u007")))

    history.new_users(["new"])
    row = history.put_item("joined", ItemFields("brand1", ["cat1"], 9.0), NOW - 2 * DAY_MS)
    widened.describe(np.array([row]))
    users, items = ["new", "new", "u003"], ["i001", "i004", "joined"]
    taken = np.full(3, NOW - DAY_MS), event_order(users, items), np.array([5, np.nan, 4], np.float32)
    history.place(history.user_rows(users), history.item_rows(items), *taken)

    asked = request(context, "new", "u003", "u007")
    scores = widened.scores(asked)
    assert scores.shape == (3, row + 1) and np.isfinite(scores[:, 1:row]).all()
    rows, _ = retrieve(widened, asked, 50)
    seen = [set(history.seen(int(user), NOW).tolist()) for user in asked.users]
    assert all(len(s) and not s & set(found.tolist()) for s, found in zip(seen, rows, strict=True))
    grows = name in (*POPULARITIES, "two_tower", "sasrec", "hstu")
    assert (row in rows[0]) is grows and (row in rows[2]) is grows  # to others it is no candidate
    wanted = np.array([[1, row, 2]] * 3)
    named = widened.scores_of(asked, wanted)
    assert named.shape == (3, 3) and np.isfinite(named).all()
    np.testing.assert_allclose(named[:, [0, 2]], scores[:, [1, 2]], rtol=1e-5, atol=1e-6)
    if not grows:
        np.testing.assert_array_equal(named[:, 1], named[:, [0, 2]].min(axis=1))
    assert widened.answers(asked).shape == (3,)
