"""Raters over features: the rows are the examples' own, words tell what stars will be, somebody new is read."""

from pathlib import Path

import numpy as np
import pytest
from factories.features import START, World, encode
from factories.training import Folds, folds

from llmrec.config import FeaturesConfig
from llmrec.features.dataset.rows import read_examples
from llmrec.models.files.store import fit_data
from llmrec.models.networks.epochs import fit_here
from llmrec.models.raters.features.boosted import BoostedRater, BoostedRaterConfig
from llmrec.models.raters.features.network import NetworkRater, NetworkRaterConfig
from llmrec.models.raters.features.rater import FeatureRater
from llmrec.schema import DAY_MS
from llmrec.schema import Column as C
from llmrec.training.closed_form import training_events
from llmrec.training.fit import load_context
from llmrec.workers.process_group import ProcessGroup


def tastes() -> World:
    """Everybody takes items of both colours; red users like the red ones, and say so."""
    rng = np.random.default_rng(2)
    words = [("red", "warm", "ember"), ("blue", "cold", "frost")]
    pairs = [(u, i) for u in range(30) for i in range(20) if rng.random() < 0.7]
    reviews = [
        {C.REVIEW_ID: f"r{u}-{i}", C.USER_ID: f"u{u:03d}", C.ITEM_ID: f"i{i:03d}",
         C.TIMESTAMP: START + int(rng.integers(0, 70)) * DAY_MS, C.STARS: 5.0 if u % 2 == i % 2 else 2.0, C.TITLE: None,
         C.TEXT: " ".join(rng.choice(words[u % 2], 2))} for u, i in pairs
    ]  # fmt: skip
    empty = dict.fromkeys((C.DESCRIPTION, C.BRAND, C.PRICE, C.CATEGORIES))
    items = [{C.ITEM_ID: f"i{k:03d}", C.TITLE: " ".join(words[k % 2][:2]), C.AVAILABLE_FROM: None, **empty}
             for k in range(20)]  # fmt: skip
    return World(reviews, items, FeaturesConfig(text_dim=6, history_length=5, popularity_days=(30.0,)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folds:
    return folds(tmp_path_factory.mktemp("raters"), tastes())


def boosted(made: Folds, variant: str = "text") -> BoostedRater:
    context = load_context(made.validation, variant)
    model = BoostedRater(BoostedRaterConfig(), context)
    model.fit(fit_data(context, model, training_events(context, model)))
    return model


def network(made: Folds, variant: str = "text") -> NetworkRater:
    config = NetworkRaterConfig(embedding_dim=4, hidden=(16,), epochs=25, batch_size=64, learning_rate=0.01)
    model = NetworkRater(config, load_context(made.validation, variant))
    fit_here(model.fit_task(made.validation, ProcessGroup(), True), config, 1, True)
    return model


def errors(model: FeatureRater) -> tuple[float, float]:
    """RMSE behind the cut-off: the model's, and its floor's."""
    data = model.context.interactions
    late = np.flatnonzero(data.time >= model.context.spec.cutoff)
    asked = data.user[late], data.item[late], data.time[late]
    return tuple(
        float(np.sqrt(np.mean((p - data.stars[late]) ** 2))) for p in (model.predict(*asked), model.biases(*asked))
    )  # type: ignore[return-value]


def test_rows_are_those_of_the_examples(made: Folds) -> None:
    model = BoostedRater(BoostedRaterConfig(), load_context(made.validation, "text"))
    c = model.context
    stored = read_examples(made.validation, "train", c.selection, c.history_length, label="like")
    events = training_events(c, model)
    rows = model.labelled(events)
    place = {
        (u, i, t): n for n, (u, i, t) in enumerate(zip(stored.user_ids, stored.item_ids, stored.times, strict=True))
    }
    data = c.interactions
    at = [place[data.user_ids[data.user[e]], data.item_ids[data.item[e]], data.time[e]] for e in events]
    assert len(at) == len(stored) == len(rows) > 100
    for name in ("dense", "history", "ages", "user_idx", "item_idx"):
        assert np.allclose(getattr(rows, name), getattr(stored, name)[at], atol=1e-5), name
    expected = data.stars[events] - model.biases(data.user[events], data.item[events], data.time[events])
    assert np.allclose(rows.click, expected, atol=1e-5)


def test_words_tell_stars_that_no_bias_can(made: Folds) -> None:
    for model in (boosted(made), network(made)):
        found, floor = errors(model)
        assert found < 0.6 * floor, model.config.name


@pytest.mark.parametrize("make", [boosted, network])
def test_somebody_new_is_rated_by_what_they_say(make: object, made: Folds) -> None:
    model = make(made)  # type: ignore[operator]
    history, time = model.context.history, START + 60 * DAY_MS
    items = history.item_rows(["i002", "i003"])  # red, blue
    guests = [history.cold_start_state(np.zeros(0, np.int64), encode([word])[0], time) for word in ("ember", "frost")]
    warm, cold = (np.subtract(*model.predict_for(0, items, time, guest)) for guest in guests)
    assert warm > cold + 0.2 if make is network else warm != cold  # trees know nobody who has but one review
    known = model.predict_for(3, items, time)
    assert np.allclose(known, model.predict(np.array([3, 3]), items, np.array([time, time])), atol=1e-4)
    assert np.isfinite(model.predict_for(0, np.array([0, 1]), time)).all()


def test_without_a_context_there_is_nothing_to_read() -> None:
    with pytest.raises(ValueError, match="'boosted': reads features"):
        BoostedRater(BoostedRaterConfig())


def test_without_stars_there_is_nothing_to_learn(tmp_path: Path) -> None:
    world = tastes()
    bare = folds(tmp_path, World([r | {C.STARS: None} for r in world.reviews], world.items, world.settings))
    with pytest.raises(ValueError, match="no review before the cut-off has stars"):
        boosted(bare)
