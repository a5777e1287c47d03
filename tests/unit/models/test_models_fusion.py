"""Each fusion by name: its shape, its weights, and its definition."""

import math

import pytest
import torch

from llmrec.models.networks.fusion import make_fusion

FAMILIES = {"behaviour": [0, 1], "text": [2, 3, 4], "price": [5]}
NAMES = ("concat", "mean", "weighted_sum", "gated", "attention")


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_shares_of_the_families(name: str) -> None:
    torch.manual_seed(0)
    fusion, features = make_fusion(name, FAMILIES, 4), torch.randn(7, 6)
    weights = fusion.weights(features)
    assert weights.shape == (7, 3)
    assert torch.allclose(weights.sum(1), torch.ones(7), atol=1e-5)
    assert (weights >= 0).all()
    assert fusion(features).shape == (7, fusion.dim)
    assert fusion.names == tuple(FAMILIES)


def test_concat_keeps_every_number() -> None:
    features = torch.randn(3, 6)
    assert torch.equal(make_fusion("concat", FAMILIES, 99)(features), features)
    assert torch.equal(make_fusion("concat", {"b": [5], "a": [0, 2]}, 9)(features), features[:, [5, 0, 2]])


def test_mean_is_the_mean_of_the_projections() -> None:
    torch.manual_seed(0)
    fusion, features = make_fusion("mean", FAMILIES, 4), torch.randn(3, 6)
    parts = [p(x) for p, x in zip(fusion.project, fusion.slices(features), strict=True)]  # type: ignore[arg-type]
    assert torch.allclose(fusion(features), sum(parts) / 3, atol=1e-6)


def test_weighted_sum_learns_to_leave_out_noise() -> None:
    torch.manual_seed(0)
    fusion = make_fusion("weighted_sum", FAMILIES, 1)
    features = torch.randn(400, 6)
    target = features[:, 2:5].sum(1, keepdim=True)
    optimizer = torch.optim.Adam(fusion.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(fusion(features), target).backward()
        optimizer.step()
    assert fusion.weights(features)[0].argmax() == 1


@pytest.mark.parametrize("name", ["gated", "attention"])
def test_weights_differ_between_examples(name: str) -> None:
    torch.manual_seed(0)
    weights = make_fusion(name, FAMILIES, 4).weights(torch.randn(20, 6) * 3)
    assert (weights.std(0) > 1e-3).all()


def test_attention_is_the_softmax_of_the_scores() -> None:
    """Families of one number each, projected to themselves; the score is 2 tanh(x), worked out by hand below."""
    fusion = make_fusion("attention", {"a": [1], "b": [0]}, 1)
    one = {"weight": torch.ones(1, 1), "bias": torch.zeros(1)}
    state = {f"{layer}.{k}": v for layer in ("project.0", "project.1", "score.0") for k, v in one.items()}
    fusion.load_state_dict(state | {"score.2.weight": torch.full((1, 1), 2.0)})
    half = math.atanh(0.5)  # scores 0 and 2 · 0.5
    weights = fusion.weights(torch.tensor([[half, 0.0], [-half, half], [0.3, 0.3]]))
    e = math.e
    assert torch.allclose(weights, torch.tensor([[1 / (1 + e), e / (1 + e)], [e * e / (1 + e * e), 1 / (1 + e * e)],
                                                 [0.5, 0.5]]), atol=1e-6)  # fmt: skip


def test_no_families_are_no_columns() -> None:
    assert make_fusion("attention", {}, 4)(torch.zeros(3, 0)).shape == (3, 0)


def test_a_wrong_name_is_told_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="found 'sum', expected one of concat, mean, weighted_sum, gated, attention"):
        make_fusion("sum", FAMILIES, 4)
    with pytest.raises(ValueError, match=r"families \['b'\] have no columns"):
        make_fusion("mean", {"a": [0], "b": []}, 4)
