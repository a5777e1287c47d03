"""Top-k with ties, the blenders' fit, and weights that must not be loaded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from llmrec.models.blenders.conditional_logit import ConditionalLogit, ConditionalLogitConfig
from llmrec.models.blenders.prior_correction import PriorCorrection, PriorCorrectionConfig, popularity_columns
from llmrec.models.files.weights_file import WeightsError, load_arrays, save_arrays
from llmrec.models.linear import fit_weights
from llmrec.models.networks.weights import from_arrays, to_arrays
from llmrec.models.topk import top_k
from llmrec.schema import id_hash, tie_hash


def test_top_k_is_a_full_sort_by_score_then_hash() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, (20, 50)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    users, items = id_hash([f"u{k}" for k in range(20)]), id_hash([f"i{k}" for k in range(50)])
    rows, best = top_k(scores, 12, users, items)
    for q in range(20):
        order = sorted(range(50), key=lambda i: (-scores[q, i], int(tie_hash(users[q : q + 1], items[i : i + 1])[0])))
        expected = [i for i in order if scores[q, i] > -np.inf][:12]
        assert rows[q, : len(expected)].tolist() == expected
        assert best[q, : len(expected)].tolist() == scores[q, expected].tolist()


def test_top_k_pads_where_few_may_be_listed() -> None:
    scores = np.array([[1.0, -np.inf, 2.0]], np.float32)
    rows, best = top_k(scores, 4, id_hash(["u"]), id_hash(["a", "b", "c"]))
    assert rows.tolist() == [[2, 0, -1, -1]]
    assert best.tolist() == [[2.0, 1.0, -np.inf, -np.inf]]


COLUMNS = ("two_tower", "click_logit", *popularity_columns((7.0, 90.0)))


def test_the_prior_correction_adds_log_q_to_the_click_logit() -> None:
    blend = PriorCorrection(PriorCorrectionConfig())
    blend.fit(COLUMNS, [], [])
    popular, rates = ("log_popularity", "log_popularity_7d", "log_popularity_90d"), ("log_rate_7d", "log_rate_90d")
    assert COLUMNS[2:] == popular + rates
    assert blend.score(np.array([[9.0, 0.5, 2.0, 7.0, 7.0, 7.0, 7.0]])).tolist() == [2.5]
    assert blend.weights == dict.fromkeys(COLUMNS, 0.0) | {"click_logit": 1.0, "log_popularity": 1.0}


def planted(n: int, weights: list[float], seed: int = 0) -> tuple[list[np.ndarray], list[int]]:
    """Queries whose target is drawn by a softmax with known weights."""
    rng = np.random.default_rng(seed)
    values, targets = [], []
    for _ in range(n):
        x = rng.normal(size=(30, len(weights))) * np.array([1.0, 3.0, 0.5])
        p = np.exp(x @ weights)
        values.append(x)
        targets.append(int(rng.choice(30, p=p / p.sum())))
    return values, targets


START = np.array([0.0, 1.0, 1.0])


def test_the_conditional_logit_recovers_planted_weights_and_comes_back_from_arrays() -> None:
    blend, other = (ConditionalLogit(ConditionalLogitConfig()) for _ in range(2))
    blend.fit(COLUMNS[:3], *planted(3_000, [0.8, 0.3, -1.0]))
    assert np.allclose(list(blend.weights.values()), [0.8, 0.3, -1.0], atol=0.1)
    other.restore(blend.state(), None)  # type: ignore[arg-type]
    assert other.weights == blend.weights


def test_without_queries_the_conditional_logit_is_the_prior_correction() -> None:
    blend = ConditionalLogit(ConditionalLogitConfig())
    blend.fit(COLUMNS[:3], [], [])
    assert list(blend.weights.values()) == START.tolist()


def test_the_penalty_pulls_to_the_prior_correction() -> None:
    values, targets = planted(20, [3.0, 0.0, 0.0])
    distances = [
        np.linalg.norm((fit_weights(values, targets, START, ridge) - START) * [1, 3, 0.5])
        for ridge in (0.01, 1.0, 100.0, 1e6)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-3


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    model, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    save_arrays(f"{tmp_path}/w.safetensors", to_arrays(model))
    from_arrays(other, load_arrays(f"{tmp_path}/w.safetensors"))
    assert torch.equal(model.weight, other.weight)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "found no such file"),
        (b"\x80\x04cos\nsystem\n.", "not a whole safetensors file"),
        (save({"weight": np.zeros((2, 3)), "bias": np.zeros(2)})[:-4], "not a whole safetensors file"),
        (save({"weight": np.zeros((2, 3))}), r"missing \['bias'\]"),
        (save({"weight": np.zeros((2, 4)), "bias": np.zeros(2)}), r"shape \(2, 4\), expected \(2, 3\)"),
        (save({"weight": np.full((2, 3), np.nan), "bias": np.zeros(2)}), "weight holds NaN"),
    ],
)
def test_bad_weights_are_refused_by_name(tmp_path: Path, data: bytes | None, message: str) -> None:
    if data is not None:
        (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match=message):
        from_arrays(torch.nn.Linear(3, 2), load_arrays(f"{tmp_path}/w.safetensors"))
