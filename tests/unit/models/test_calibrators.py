"""Calibrated probabilities are those that occur, keep every order, and give way where they predict worse."""

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from llmrec.catalogue import MODELS
from llmrec.config.models import model_config
from llmrec.evaluation.labels.metrics import click_metrics
from llmrec.models.files.store import make_model


def drawn(curve: Any, n: int = 6000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and clicks whose true probability is a curve of them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1.5, 1.5, n).astype(np.float32)
    return logits, (rng.random(n) < curve(logits)).astype(np.float32)


def error(probability: np.ndarray, clicks: np.ndarray) -> float:
    found = click_metrics(clicks > 0, probability, np.zeros(len(clicks), np.int64), 0.5)(np.ones((1, len(clicks))))
    return float(found["ece"][0])


#: True probabilities by logit: as a ranker that is too sure has it, and as no straight line has it.
CURVES = {"too sure": lambda z: expit(z / 3 - 0.5), "bent": lambda z: expit(np.where(z < 0, 0.4 * z - 1, 3 * z - 1))}


@pytest.mark.parametrize(
    ("name", "curve"), [("temperature", "too sure"), ("isotonic", "too sure"), ("isotonic", "bent")]
)
def test_what_is_said_is_what_happens(name: str, curve: str) -> None:
    model = make_model("calibrator", model_config("calibrator", name))
    found = model.fit(*drawn(CURVES[curve]))
    logits, clicks = drawn(CURVES[curve], seed=1)
    assert error(model.probability(logits), clicks) < 0.02 < error(expit(logits), clicks)
    assert found["log_loss"] < found["log_loss_before"]
    assert np.abs(model.probability(logits) - CURVES[curve](logits)).mean() < 0.02


@pytest.mark.parametrize("name", MODELS["calibrator"])
def test_the_order_is_kept_and_arrays_bring_it_back(name: str) -> None:
    model, other = (make_model("calibrator", model_config("calibrator", name)) for _ in range(2))
    logits, clicks = drawn(CURVES["bent"])
    model.fit(logits, clicks)
    asked = np.linspace(-8, 7, 61).astype(np.float32)
    said = model.probability(asked)
    assert (np.diff(logit(said.astype(np.float64))) > 0).all() and said[0] > 0 and said[-1] < 1
    other.restore(model.state(), None)
    assert np.array_equal(other.probability(asked), said)


def test_it_gives_way_where_the_later_half_contradicts_it() -> None:
    """What was true of the earlier half is not any more: the ranker's own probability is nearer."""
    parts = [drawn(lambda z: expit(z / 5 + 1)), drawn(expit, seed=1)]
    logits, clicks = (np.concatenate(values) for values in zip(*parts, strict=True))
    guarded, free = (
        make_model("calibrator", model_config("calibrator", {"name": "isotonic", "guard": on})) for on in (True, False)
    )
    said = guarded.fit(logits, clicks)
    assert said["log_loss"] == said["log_loss_before"]
    free.fit(logits, clicks)
    asked = np.linspace(-3, 3, 20).astype(np.float32)
    assert np.allclose(guarded.probability(asked), expit(asked)) and not np.allclose(
        free.probability(asked), expit(asked)
    )
    assert np.allclose(guarded.state()["x"], [])


@pytest.mark.parametrize("clicks", [0.0, 1.0])
def test_rows_of_one_class_make_no_certainty(clicks: float) -> None:
    model = make_model("calibrator", model_config("calibrator", {"name": "isotonic", "guard": False}))
    logits, _ = drawn(expit, n=40)
    model.fit(logits, np.full(40, clicks, np.float32))
    said = model.probability(logits)
    assert ((said > 0) & (said < 1)).all()
