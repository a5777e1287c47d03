"""Every registered rater on planted stars and likes: biases by hand, what is found, nothing seen too early."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories.events import N_RATED, RATED_ITEMS, planted_ratings
from sklearn.metrics import roc_auc_score

from llmrec.catalogue import MODELS, model_class
from llmrec.config.models import model_config
from llmrec.features.asof.interactions import AsOf, Interactions, Ints
from llmrec.models.base import FitData, Rater
from llmrec.models.files.weights_file import load_arrays, save_arrays
from llmrec.models.raters.bias import liked
from llmrec.schema import DAY_MS

NAMES = [name for name in MODELS["rater"] if model_class("rater", name).INFO.reads != "features"]
TRAIN, TEST = np.arange(N_RATED * 4 // 5), np.arange(N_RATED * 4 // 5, N_RATED)


DATA, VECTORS = planted_ratings()


def made(name: str, **settings: Any) -> Rater:
    model: Rater = model_class("rater", name)(model_config("rater", {"name": name, **settings}))
    return model


def fit_data(data: Interactions, vectors: np.ndarray, train: Ints = TRAIN) -> FitData:
    return FitData(data, train[np.isfinite(data.stars[train])], AsOf(data), vectors)


def fitted(name: str, data: Interactions = DATA, vectors: np.ndarray = VECTORS, **settings: Any) -> Rater:
    model = made(name, **settings)
    model.fit(fit_data(data, vectors))
    return model


def asked(model: Rater, rows: Ints, data: Interactions = DATA) -> np.ndarray:
    return model.predict(data.user[rows], data.item[rows], data.time[rows], rows)


@pytest.fixture(scope="module")
def once() -> dict[str, Rater]:
    return {name: fitted(name) for name in NAMES}


def corpus(n: int, seed: int = 0) -> Interactions:
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(n // 2, size=n)) * DAY_MS  # ties
    user, item = rng.integers(n // 12, size=n), rng.integers(n // 12, size=n)
    given = np.clip(np.round(3.5 + (item % 3 - 1) + (user % 3 - 1) * 0.5 + rng.normal(0, 0.8, n)), 1, 5)
    return Interactions.from_arrays([f"u{u}" for u in user], [f"i{i}" for i in item], time, given.astype(np.float32))


def plain_bias(data: Interactions, damping: float, row: int) -> float:
    """The definition, one row at a time."""

    def item_part(item: int, time: int) -> float:
        before = data.stars[data.time < time]
        mean = float(before.mean()) if len(before) else 0.0
        own = data.stars[(data.item == item) & (data.time < time)]
        return mean + float((own - mean).sum()) / (len(own) + damping)

    time = int(data.time[row])
    mine = np.flatnonzero((data.user == data.user[row]) & (data.time < time))
    residual = [float(data.stars[r]) - item_part(int(data.item[r]), int(data.time[r])) for r in mine]
    return item_part(int(data.item[row]), time) + sum(residual) / (len(residual) + damping)


@pytest.mark.parametrize("name", ["bias", "rates"])
def test_biases_equal_the_definition_and_see_nothing_at_or_after_t(name: str) -> None:
    data, rows = corpus(240), np.arange(20, 240, 9)
    labels = liked(data) if name == "rates" else data
    expected = np.array([plain_bias(labels, 3.0, int(r)) for r in rows])
    model = made(name, damping=3.0)
    model.fit(fit_data(data, VECTORS, np.arange(200)))
    found = asked(model, rows, data)
    np.testing.assert_allclose(found, expected.clip(0.01, 0.99) if name == "rates" else expected, rtol=1e-5)


def test_a_like_is_four_stars_and_more() -> None:
    found, given = liked(DATA).stars, np.isfinite(DATA.stars)
    assert set(found[given]) == {0.0, 1.0} and np.isnan(found[~given]).all()
    assert set(DATA.stars[found == 1]) == {4.0, 5.0} and set(DATA.stars[found == 0]) == {1.0, 3.5}


def test_factors_find_a_planted_interaction() -> None:
    rng = np.random.default_rng(3)
    user, item = rng.integers(40, size=4000), rng.integers(30, size=4000)
    given = 3 + 1.5 * np.where(user % 2 == item % 2, 1, -1) + rng.normal(0, 0.2, 4000)
    data = Interactions.from_arrays(
        [f"u{u:02}" for u in user], [f"i{i:02}" for i in item], np.arange(4000) * DAY_MS, given.astype(np.float32)
    )
    test, rmse = np.arange(3500, 4000), {}
    for name in ("bias", "matrix_factorization"):
        model = made(name)
        model.fit(fit_data(data, VECTORS, np.arange(3500)))
        rmse[name] = float(np.sqrt(np.mean((asked(model, test, data) - data.stars[test]) ** 2)))
    assert rmse["bias"] > 1.2 and rmse["matrix_factorization"] < 0.4


def test_rates_find_who_likes_everything_and_text_what_the_others_like(once: dict[str, Rater]) -> None:
    rows = TEST[np.isfinite(DATA.stars[TEST])]
    auc = {name: float(roc_auc_score(DATA.stars[rows] >= 4, asked(model, rows))) for name, model in once.items()}
    assert auc["rates"] > 0.6 and auc["rates_text"] > max(auc["rates"], auc["text_logistic"]) + 0.05, auc
    assert auc["bias_text"] > auc["bias"] + 0.05, auc


@pytest.mark.parametrize("name", NAMES)
def test_no_prediction_sees_its_own_or_a_later_review(name: str, once: dict[str, Rater]) -> None:
    rows = TEST[np.isfinite(DATA.stars[TEST])]
    place = len(rows) // 2
    stars, vectors = DATA.stars.copy(), VECTORS.copy()
    stars[rows[place]] = 1.0 if stars[rows[place]] >= 4 else 5.0
    vectors[rows[place]] = 50
    before, after = asked(once[name], rows), asked(fitted(name, replace(DATA, stars=stars), vectors), rows)
    np.testing.assert_array_equal(before[: place + 1], after[: place + 1])
    assert (before[place + 1 :] != after[place + 1 :]).any()  # the positive control: those after it do see it


@pytest.mark.parametrize("name", [n for n in NAMES if model_class("rater", n).INFO.reads == "text"])
@pytest.mark.parametrize("side", ["user side", "item side", "both"])
def test_a_review_is_put_back_only_where_that_is_asked_for(name: str, side: str, once: dict[str, Rater]) -> None:
    model = made(name)
    model.put_back = side  # type: ignore[attr-defined]
    model.fit(fit_data(DATA, VECTORS))
    assert (asked(model, TEST) != asked(once[name], TEST)).mean() > 0.9
    users, items, times = DATA.user[TEST], DATA.item[TEST], DATA.time[TEST]
    np.testing.assert_array_equal(once[name].predict(users, items, times), asked(once[name], TEST))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_saved_answers_the_same(name: str, once: dict[str, Rater], tmp_path: Path) -> None:
    """Through a file, with no training rows in sight, as a server loads it."""
    file = str(tmp_path / "weights.safetensors")
    save_arrays(file, once[name].state())
    loaded = made(name, **once[name].config.model_dump(exclude={"name"}))
    loaded.restore(load_arrays(file), FitData(DATA, np.zeros(0, np.int64), AsOf(DATA), VECTORS, seed=99))
    found = asked(once[name], TEST)
    np.testing.assert_array_equal(asked(loaded, TEST), found)
    assert found.shape == TEST.shape and np.isfinite(found).all()
    if once[name].INFO.output == "probability":
        assert found.min() > 0 and found.max() < 1


@pytest.mark.parametrize("name", NAMES)
def test_somebody_unknown_gets_what_the_item_gets(name: str, once: dict[str, Rater]) -> None:
    """Row 0 has no bias, no factors and no text; an unknown item of theirs gets everybody's mean."""
    items, times = np.arange(RATED_ITEMS + 1), np.full(RATED_ITEMS + 1, DATA.time[-1] + 1)
    found = once[name].predict(np.zeros(RATED_ITEMS + 1, np.int64), items, times)
    assert np.isfinite(found).all() and (name == "text_logistic" or len(np.unique(found)) > RATED_ITEMS / 2)
    labels = liked(DATA).stars if once[name].INFO.output == "probability" else DATA.stars
    if name in ("bias", "rates", "matrix_factorization"):
        assert found[0] == pytest.approx(np.nanmean(labels), abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_fit_gives_the_same_again(name: str, once: dict[str, Rater]) -> None:
    np.testing.assert_array_equal(asked(fitted(name), TEST), asked(once[name], TEST))
