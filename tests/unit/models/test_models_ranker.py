"""Cross network, factorisation machine and pooling against their equations."""

from itertools import combinations
from typing import Literal

import pytest
import torch

from llmrec.catalogue import model_class
from llmrec.models.networks.layers import AttentionPool, IdEmbedding, MeanPool, TargetAttention
from llmrec.models.rankers.click_network import ClickNetwork
from llmrec.models.rankers.dcnv2 import CrossNetwork
from llmrec.models.rankers.fm import pairwise_interactions


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
    embedded, dense, latent = torch.randn(4, 5, 3), torch.randn(4, 6), torch.randn(6, 3)
    fields = torch.cat([embedded, dense[:, :, None] * latent], dim=1)
    pairs = sum((fields[:, i] * fields[:, j]).sum(1) for i, j in combinations(range(11), 2))
    assert torch.allclose(pairwise_interactions(embedded, dense, latent), torch.as_tensor(pairs), atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [{"name": "dcnv2", "structure": "parallel"}, {"name": "dcnv2", "structure": "stacked"}, {"name": "deepfm"},
     {"name": "fm"}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("history", ["mean", "din"])
def test_padding_changes_no_logit(settings: dict[str, str], history: Literal["mean", "din"]) -> None:
    torch.manual_seed(0)
    ranker = model_class("ranker", settings["name"])
    config = ranker.Config(**settings, history=history, embedding_dim=4)
    model = ClickNetwork(config, ranker.body, 5, 7, {"item": {"a": range(6)}}).eval()
    dense = torch.randn(2, 6)
    users, items = torch.tensor([1, 0]), torch.tensor([2, 3])
    short = model(users, items, torch.tensor([[4, 5], [0, 0]]), torch.tensor([[2.0, 1.0], [0.0, 0.0]]), dense)
    padded = model(users, items, torch.tensor([[0, 4, 5], [0, 0, 0]]), torch.tensor([[0.0, 2, 1], [0] * 3]), dense)
    assert torch.allclose(short, padded, atol=1e-6)
    assert torch.isfinite(short).all()
    other = model(users, items, torch.tensor([[6, 1], [0, 0]]), torch.tensor([[2.0, 1.0], [0.0, 0.0]]), dense)
    assert not torch.allclose(short[0], other[0])  # the history is read
    assert torch.allclose(short[1], other[1])


def test_pools_ignore_padding_and_are_zero_for_an_empty_history() -> None:
    torch.manual_seed(0)
    embedded = torch.randn(2, 3, 4)
    known = torch.tensor([[False, True, True], [False, False, False]])
    ages = torch.rand(2, 3)
    assert torch.allclose(MeanPool()(embedded, known, ages)[0], embedded[0, 1:].mean(0))
    for pooled in (
        MeanPool()(embedded, known, ages),
        AttentionPool(3, 4)(embedded, known, ages),
        TargetAttention(4)(embedded, known, ages, torch.randn(2, 4)),
    ):
        assert torch.equal(pooled[1], torch.zeros(4))


def test_attention_weights_a_history_by_content() -> None:
    torch.manual_seed(0)
    pool, known = AttentionPool(3, 4), torch.ones((1, 3), dtype=torch.bool)
    embedded = torch.randn(1, 3, 4)
    inside = torch.linalg.lstsq(embedded[0].T, pool(embedded, known, torch.zeros(1, 3))[0]).solution
    assert torch.isclose(inside.sum(), torch.tensor(1.0), atol=1e-4)  # a weighted mean
    assert inside.std() > 1e-3  # but not the plain one


def test_attention_forgets_by_a_power_of_the_days() -> None:
    """Items alike at the same place but for their age have weights as (1 + days)^fading."""
    torch.manual_seed(0)
    pool, known = AttentionPool(2, 4), torch.ones((1, 2), dtype=torch.bool)
    marked = torch.tensor([[[1.0, 0, 0, 0], [1.0, 0, 0, 0]]])
    pool.project.weight.data[:] = 0  # content says nothing
    ages = torch.log1p(torch.tensor([[30.0, 2.0]]))
    marked[0, 1, 1] = 1.0  # tells the second one's weight
    assert torch.isclose(pool(marked, known, ages)[0, 1], torch.tensor(0.5))
    pool.fading.data.fill_(-0.7)
    old, new = 31.0**-0.7, 3.0**-0.7
    assert torch.isclose(pool(marked, known, ages)[0, 1], torch.tensor(new / (old + new)), atol=1e-5)


@pytest.mark.parametrize("history", ["attention", "din"])
def test_ages_alone_can_be_learned_from(history: Literal["attention", "din"]) -> None:
    """Which of two items counts is told by the days alone: the newer one's colour is the label."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    past = torch.randint(1, 3, (512, 2), generator=generator)
    ages = torch.rand((512, 2), generator=generator) * 5
    label = (past[torch.arange(512), ages.argmin(1)] == 1).float()
    table = IdEmbedding(3, 4)
    pool = AttentionPool(2, 4) if history == "attention" else TargetAttention(4)
    out = torch.nn.Linear(4, 1)
    parameters = [*table.parameters(), *pool.parameters(), *out.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.02)
    right = {}
    for given in (torch.zeros_like(ages), ages):
        for _ in range(400):
            optimizer.zero_grad()
            seen = (table(past), past > 0, given)
            pooled = pool(*seen, table.table.weight[:1].expand(512, -1)) if history == "din" else pool(*seen)
            logits = out(pooled).squeeze(1)
            torch.nn.functional.binary_cross_entropy_with_logits(logits, label).backward()
            optimizer.step()
        right[bool(given.any())] = float(((logits > 0) == (label > 0)).float().mean())
    assert right[True] > 0.9 > 0.8 > right[False]


def test_ids_are_dropped_only_in_training() -> None:
    torch.manual_seed(0)
    embedding, idx = IdEmbedding(10, 4, dropout=0.5), torch.arange(1, 10).repeat(100)
    dropped = (embedding(idx) == embedding.table.weight[0]).all(1).float().mean()
    assert 0.4 < dropped < 0.6
    embedding.eval()
    assert torch.equal(embedding(idx), embedding.table.weight[idx])
