"""Item-to-item models against their definitions, and their blocks of time."""

import numpy as np
import pytest
from factories.features import START, World
from scipy.sparse import csr_matrix

from llmrec.config import FeaturesConfig
from llmrec.features.families.collaborative import (
    Collaborative,
    block_starts,
    covisitation,
    ease,
    from_arrays,
    ials,
    to_arrays,
)
from llmrec.schema import DAY_MS

RNG = np.random.default_rng(0)
#: A checkerboard: even users take even items, odd users odd ones.
BOARD = np.array([[float((u + i) % 2 == 0 and RNG.random() < 0.6) for i in range(12)] for u in range(60)])
MATRIX = csr_matrix(BOARD.astype(np.float32))
SETTINGS = FeaturesConfig(ease_l2=3.0, ials_factors=4)


def test_ease_is_ridge_regression_on_the_other_items() -> None:
    weights = ease(MATRIX, SETTINGS)[0][:-1, :-1]
    for i in range(12):
        others = np.delete(np.arange(12), i)
        x = BOARD[:, others]
        expected = np.linalg.solve(x.T @ x + 3.0 * np.eye(11), x.T @ BOARD[:, i])
        np.testing.assert_allclose(weights[others, i], expected, atol=1e-5)
        assert weights[i, i] == 0


def test_covisitation_is_the_cosine_of_columns() -> None:
    cosine = covisitation(MATRIX, SETTINGS)[0][:-1, :-1]
    a, b = BOARD[:, 0], BOARD[:, 2]
    np.testing.assert_allclose(cosine[0, 2], a @ b / np.linalg.norm(a) / np.linalg.norm(b), rtol=1e-5)
    assert not np.diag(cosine).any()


@pytest.mark.parametrize("method", ["covisitation", "ease", "ials"])
def test_a_history_points_at_its_own_colour(method: str) -> None:
    left, right = {"covisitation": covisitation, "ease": ease, "ials": ials}[method](MATRIX, SETTINGS)
    said = left @ right.T if right.size else left
    same = np.add.outer(np.arange(12), np.arange(12)) % 2 == 0
    off = ~np.eye(12, dtype=bool)
    assert said[:-1, :-1][same & off].mean() > said[:-1, :-1][~same].mean() + 0.05
    assert not said[-1].any(), "an unknown item must say nothing"


def test_blocks_are_scored_by_the_model_of_the_past_only() -> None:
    world = World.random()
    history = world.prepare().history
    cutoff = START + 70 * DAY_MS
    scores = Collaborative.fit(history.settings, history.data, cutoff)
    starts = [m.start for m in scores.models]
    assert starts == sorted(starts)
    assert starts[-1] == cutoff
    assert len(starts) == history.settings.collaborative_blocks
    for model in scores.models:
        seen = history.data.item_rows[history.data.times < model.start]
        assert set(model.items) == set(seen)
    users = history.users_at(history.data.user_rows, history.data.times)
    items = history.items_at(history.data.item_rows, history.data.times)
    values = scores(users, items)
    assert not values[history.data.times < starts[0]].any()
    for k, time in enumerate(history.data.times):
        number = sum(s <= time for s in starts) - 1
        if number >= 0:
            model, past = scores.models[number], users.history[k][users.history[k] > 0]
            expected = model.left[0][model.place(past), model.place(items.rows[k : k + 1])[0]].sum()
            np.testing.assert_allclose(values[k, 0], expected, rtol=1e-5)


def test_no_events_and_one_moment_have_no_blocks() -> None:
    assert block_starts(np.zeros(0, np.int64), 4) == []
    assert block_starts(np.full(9, 5), 4) == []


def test_saved_scores_are_the_same() -> None:
    history = World.random().prepare().history
    settings = history.settings.model_copy(update={"collaborative": ("ials", "ease")})
    fitted = Collaborative.fit(settings, history.data, START + 70 * DAY_MS)
    loaded = from_arrays(settings.collaborative, to_arrays(fitted))
    users = history.users_at(history.data.user_rows, history.data.times)
    items = history.items_at(history.data.item_rows, history.data.times)
    np.testing.assert_array_equal(loaded(users, items), fitted(users, items))
