"""Label metrics by hand and against scikit-learn; weights equal repeated rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from llmrec.evaluation.labels import metrics as label_metrics

LABEL = np.array([1, 0, 1, 0, 0], bool)
P = np.array([0.9, 0.4, 0.4, 0.6, 0.1])
USER = np.array([1, 1, 2, 2, 3])


def at(label: np.ndarray, p: np.ndarray, user: np.ndarray, weight: np.ndarray | None = None) -> dict[str, float]:
    weight = np.ones((1, len(label))) if weight is None else weight
    return {k: float(v[0]) for k, v in label_metrics.click_metrics(label, p, user, 0.5)(weight).items()}


def test_by_hand() -> None:
    found = at(LABEL, P, USER)
    assert found["auc"] == pytest.approx((3 + 0.5 + 0 + 1) / 6)
    assert found["gauc"] == pytest.approx((1 * 2 + 0 * 2) / 4)  # the third user has one class only
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx((1 / 2, 1 / 2, 1 / 2))
    # bins of width 1/15: .1 | .4 .4 | .6 | .9
    assert found["ece"] == pytest.approx((0.1 + abs(0.8 - 1) + 0.6 + 0.1) / 5)


rows = st.integers(2, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda y: 0 < sum(y) < len(y)),
        st.lists(st.integers(0, 20), min_size=n, max_size=n),
        st.lists(st.integers(0, 4), min_size=n, max_size=n),
        st.lists(st.integers(0, 3), min_size=n, max_size=n),
    )
)


@settings(max_examples=60, deadline=None)
@given(rows)
def test_agrees_with_scikit_learn(case: tuple[list[bool], list[int], list[int], list[int]]) -> None:
    label, score, user, _ = (np.array(c) for c in case)
    p = score / 20
    found = at(label, p, user)
    clipped = np.clip(p, 1e-7, 1 - 1e-7)
    assert found["auc"] == pytest.approx(sk.roc_auc_score(label, p), abs=1e-9)
    assert found["log_loss"] == pytest.approx(sk.log_loss(label, clipped, labels=[0, 1]), abs=1e-9)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(label, p >= 0.5), abs=1e-9)
    assert found["precision"] == pytest.approx(sk.precision_score(label, p >= 0.5, zero_division=0), abs=1e-9)
    assert found["recall"] == pytest.approx(sk.recall_score(label, p >= 0.5), abs=1e-9)
    assert found["f1"] == pytest.approx(sk.f1_score(label, p >= 0.5, zero_division=0), abs=1e-9)
    groups, by_user = label_metrics.auc_by_group(label, p, user)
    for g, value in zip(groups, by_user, strict=True):
        inside = user == g
        if 0 < label[inside].sum() < inside.sum():
            assert value == pytest.approx(sk.roc_auc_score(label[inside], p[inside]), abs=1e-9)
        else:
            assert np.isnan(value)


@settings(max_examples=80, deadline=None)
@given(rows)
def test_a_weight_is_a_repetition(case: tuple[list[bool], list[int], list[int], list[int]]) -> None:
    label, score, user, repeat = (np.array(c) for c in case)
    repeat = repeat[user % len(repeat)]  # a user's rows are drawn together
    again = np.repeat(np.arange(len(label)), repeat)
    if not 0 < label[again].sum() < len(again):
        return
    weighted = at(label, score / 20, user, repeat[None].astype(float))
    repeated = at(label[again], score[again] / 20, user[again])
    for name, value in repeated.items():
        assert weighted[name] == pytest.approx(value, abs=1e-9, nan_ok=True), name


def test_stars_by_hand_and_by_scikit_learn() -> None:
    stars, predicted = np.array([5.0, 3, 1]), np.array([4.0, 3, 3])
    found = {k: float(v[0]) for k, v in label_metrics.star_metrics(stars, predicted)(np.ones((1, 3))).items()}
    assert found == pytest.approx({"rmse": (5 / 3) ** 0.5, "mae": 1})
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(stars, predicted), abs=1e-9)


def test_calibration_bins_hold_every_row() -> None:
    bins = label_metrics.calibration(LABEL, P)
    assert bins == [(0.1, 0.0, 1), (0.4, 0.5, 2), (0.6, 0.0, 1), (0.9, 1.0, 1)]
