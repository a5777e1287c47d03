"""Cross network, factorisation machine and pooling against their equations."""

from itertools import combinations
from typing import Literal

import pytest
import torch

from llmrec.config import RankerConfig
from llmrec.models.layers import AttentionPool, IdEmbedding, MeanPool, TargetAttention
from llmrec.models.ranker import CrossNetwork, Ranker, pairwise_interactions


def test_the_cross_network_is_equation_1() -> None:
    torch.manual_seed(0)
    network, x0 = CrossNetwork(3, 2), torch.randn(5, 3)
    x = x0
    for layer in network.layers:
        w, b = layer.weight, layer.bias
        x = torch.stack([x0[r] * (w @ x[r] + b) + x[r] for r in range(5)])
    assert torch.allclose(network(x0), x, atol=1e-6)


def test_pairwise_interactions_are_the_sum_over_pairs() -> None:
    torch.manual_seed(0)
    fields = torch.randn(4, 5, 3)
    pairs = sum((fields[:, i] * fields[:, j]).sum(1) for i, j in combinations(range(5), 2))
    assert torch.allclose(pairwise_interactions(fields), torch.as_tensor(pairs), atol=1e-5)


@pytest.mark.parametrize("kind", ["dcnv2", "deepfm"])
@pytest.mark.parametrize("structure", ["parallel", "stacked"])
@pytest.mark.parametrize("history", ["mean", "din"])
def test_padding_changes_no_logit(
    kind: Literal["dcnv2", "deepfm"], structure: Literal["parallel", "stacked"], history: Literal["mean", "din"]
) -> None:
    torch.manual_seed(0)
    config = RankerConfig(kind=kind, structure=structure, history=history, embedding_dim=4, hidden=(8,))
    model = Ranker(config, 5, 7, history_length=3, dense_dim=6).eval()
    dense = torch.randn(2, 6)
    users, items = torch.tensor([1, 0]), torch.tensor([2, 3])
    short = model(users, items, torch.tensor([[4, 5], [0, 0]]), dense)
    padded = model(users, items, torch.tensor([[0, 4, 5], [0, 0, 0]]), dense)
    assert torch.allclose(short, padded, atol=1e-6)
    assert torch.isfinite(short).all()
    other = model(users, items, torch.tensor([[6, 1], [0, 0]]), dense)
    assert not torch.allclose(short[0], other[0])  # the history is read
    assert torch.allclose(short[1], other[1])


def test_pools_ignore_padding_and_are_zero_for_an_empty_history() -> None:
    torch.manual_seed(0)
    embedded = torch.randn(2, 3, 4)
    known = torch.tensor([[False, True, True], [False, False, False]])
    assert torch.allclose(MeanPool()(embedded, known)[0], embedded[0, 1:].mean(0))
    for pooled in (
        MeanPool()(embedded, known),
        AttentionPool(3, 4)(embedded, known),
        TargetAttention(4)(embedded, known, torch.randn(2, 4)),
    ):
        assert torch.equal(pooled[1], torch.zeros(4))


def test_attention_weights_a_history_by_content() -> None:
    torch.manual_seed(0)
    pool, known = AttentionPool(3, 4), torch.ones((1, 3), dtype=torch.bool)
    embedded = torch.randn(1, 3, 4)
    inside = torch.linalg.lstsq(embedded[0].T, pool(embedded, known)[0]).solution
    assert torch.isclose(inside.sum(), torch.tensor(1.0), atol=1e-4)  # a weighted mean
    assert inside.std() > 1e-3  # but not the plain one


def test_ids_are_dropped_only_in_training() -> None:
    torch.manual_seed(0)
    embedding, idx = IdEmbedding(10, 4, dropout=0.5), torch.arange(1, 10).repeat(100)
    dropped = (embedding(idx) == embedding.table.weight[0]).all(1).float().mean()
    assert 0.4 < dropped < 0.6
    embedding.eval()
    assert torch.equal(embedding(idx), embedding.table.weight[idx])
