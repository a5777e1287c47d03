"""Top-k with ties, the second stage's fit, and weights that must not be loaded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from llmrec.models.blender import ScoreBlender, fit_score_blender
from safetensors.torch import save

from llmrec.models.networks.weights import WeightsError, load_weights, save_weights
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


def test_the_prior_correction_adds_log_q_to_the_click_logit() -> None:
    stage = ScoreBlender.prior_correction((7.0, 90.0))
    values = np.array([[9.0, 0.5, 2.0, 7.0, 7.0]])
    assert stage.columns == ("retrieval", "click_logit", "log_popularity", "log_popularity_7d", "log_popularity_90d")
    assert stage.score(values).tolist() == [2.5]


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


def test_the_second_stage_recovers_planted_weights() -> None:
    start = ScoreBlender(("retrieval", "click_logit", "log_popularity"), (0.0, 1.0, 1.0), "log_popularity")
    found = fit_score_blender(*planted(3_000, [0.8, 0.3, -1.0]), start)
    assert np.allclose(found.weights, [0.8, 0.3, -1.0], atol=0.1)
    assert found.columns == start.columns


def test_without_queries_the_second_stage_is_the_prior_correction() -> None:
    start = ScoreBlender.prior_correction((7.0,))
    assert fit_score_blender([], [], start) == start


def test_the_penalty_pulls_to_the_prior_correction() -> None:
    start = ScoreBlender(("retrieval", "click_logit", "log_popularity"), (0.0, 1.0, 1.0), "log_popularity")
    values, targets = planted(20, [3.0, 0.0, 0.0])
    distances = [
        np.linalg.norm(
            (np.array(fit_score_blender(values, targets, start, ridge).weights) - start.weights) * [1, 3, 0.5]
        )
        for ridge in (0.01, 1.0, 100.0, 1e6)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-3


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    model, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    save_weights(f"{tmp_path}/w.safetensors", model.state_dict())
    load_weights(other, f"{tmp_path}/w.safetensors")
    assert torch.equal(model.weight, other.weight)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "found no such file"),
        (b"\x80\x04cos\nsystem\n.", "not a whole safetensors file"),
        (save({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)})[:-4], "not a whole safetensors file"),
        (save({"weight": torch.zeros(2, 3)}), r"missing \['bias'\]"),
        (save({"weight": torch.zeros(2, 4), "bias": torch.zeros(2)}), r"shape \(2, 4\), expected \(2, 3\)"),
        (save({"weight": torch.full((2, 3), torch.nan), "bias": torch.zeros(2)}), "weight holds NaN"),
    ],
)
def test_bad_weights_are_refused_by_name(tmp_path: Path, data: bytes | None, message: str) -> None:
    if data is not None:
        (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match=message):
        load_weights(torch.nn.Linear(3, 2), f"{tmp_path}/w.safetensors")
