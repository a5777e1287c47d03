"""What the networks promise: they learn a planted rule, whatever their pooling, fusion and structure."""

import warnings
from typing import Any

import pytest
import torch

from llmrec.catalogue import model_class
from llmrec.models.rankers.click_network import ClickNetwork
from llmrec.models.rankers.multitask.config import MultiTaskConfig
from llmrec.models.rankers.multitask.network import OutcomesNetwork
from llmrec.models.retrievers.two_tower.net import TwoTower, TwoTowerConfig

N_USERS, N_ITEMS, LENGTH = 9, 13, 4
FAMILIES = {"a": [0, 1], "b": [2]}
SIDES = {"user": FAMILIES, "item": {"c": [3, 4]}, "pair": {"d": [5]}}
TOWERS = [
    TwoTowerConfig(dim=8, hidden=(8,), history=history, fusion=fusion, id_dropout=0.2)  # type: ignore[arg-type]
    for history in ("mean", "attention")
    for fusion in ("concat", "mean", "weighted_sum", "gated", "attention")
]
RANKERS = [
    model_class("ranker", settings["name"]).Config(**settings, embedding_dim=4, history=history)
    for settings in ({"name": "dcnv2", "structure": "parallel"}, {"name": "dcnv2", "structure": "stacked"},
                     {"name": "deepfm"}, {"name": "fm"}, {"name": "autoint", "token_columns": 1},
                     {"name": "encoder_decoder", "dim": 8}, {"name": "shared_bottom"}, {"name": "mmoe"},
                     {"name": "ple"}, {"name": "esmm"})
    for history in ("mean", "din")
]  # fmt: skip


def build(config: Any) -> TwoTower | ClickNetwork:
    torch.manual_seed(0)
    if isinstance(config, TwoTowerConfig):
        return TwoTower(config, N_USERS, N_ITEMS, 3, 3, LENGTH, FAMILIES, FAMILIES)
    net = OutcomesNetwork if isinstance(config, MultiTaskConfig) else ClickNetwork
    return net(config, model_class("ranker", config.name).body, N_USERS, N_ITEMS, SIDES)


def rows(n: int = 64) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    history = torch.randint(0, N_ITEMS, (n, LENGTH), generator=generator)
    history[: n // 4] = 0
    return {
        "user": torch.randint(0, N_USERS, (n,), generator=generator),
        "item": torch.randint(0, N_ITEMS, (n,), generator=generator),
        "history": history,
        "ages": torch.rand((n, LENGTH), generator=generator) * (history > 0),
        "dense": torch.randn(n, 6, generator=generator),
    }


def predict(model: TwoTower | ClickNetwork, x: dict[str, torch.Tensor]) -> torch.Tensor:
    """(n,) scores of row-aligned pairs."""
    if isinstance(model, TwoTower):
        users = model.user_vectors(x["user"], x["history"], x["ages"], x["dense"][:, :3])
        return (users * model.item_vectors(x["item"], x["dense"][:, 3:])).sum(1)
    logits: torch.Tensor = model(x["user"], x["item"], x["history"], x["ages"], x["dense"])
    return logits if logits.dim() == 1 else logits[:, 0]  # of many outcomes the click


def fit(model: TwoTower | ClickNetwork, steps: int = 60) -> tuple[float, float]:
    """Loss before and after on a planted rule: the click follows the item's first dense number and its id."""
    x = rows()
    clicks = ((x["dense"][:, 3] + (x["item"] % 2).float() * 2 - 1) > 0).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(predict(model, x), clicks)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses[0], losses[-1]


def name(config: Any) -> str:
    fields = config.model_dump()
    return "-".join(str(fields[k]) for k in ("name", "structure", "history", "fusion") if k in fields)


@pytest.fixture(params=[*TOWERS, *RANKERS], ids=name)
def config(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_it_learns_a_planted_rule(config: Any) -> None:
    before, after = fit(build(config))
    assert after < 0.8 * before


def test_the_unknown_and_the_empty_have_finite_scores(config: Any) -> None:
    model = build(config).eval()
    x = {"user": torch.zeros(2, dtype=torch.int64), "item": torch.zeros(2, dtype=torch.int64),
         "history": torch.zeros((2, LENGTH), dtype=torch.int64), "ages": torch.zeros((2, LENGTH)),
         "dense": torch.zeros(2, 6)}  # fmt: skip
    scores = predict(model, x)
    assert torch.isfinite(scores).all()
    assert torch.allclose(scores[0], scores[1])


def test_a_row_is_scored_alike_alone_and_in_a_batch(config: Any) -> None:
    model, x = build(config).eval(), rows()
    alone = torch.cat([predict(model, {k: v[r : r + 1] for k, v in x.items()}) for r in range(8)])
    assert torch.allclose(alone, predict(model, x)[:8], atol=1e-5)


@pytest.mark.parametrize("config", TOWERS, ids=name)
def test_towers_make_unit_vectors_with_temperature_and_bias_folded_in(config: TwoTowerConfig) -> None:
    model, x = build(config), rows()
    assert isinstance(model, TwoTower)
    model.eval()
    users = model.user_vectors(x["user"], x["history"], x["ages"], x["dense"][:, :3])
    items = model.item_vectors(x["item"], x["dense"][:, 3:])
    assert users.shape == items.shape == (64, model.vector_dim)
    assert torch.allclose(items[:, :-1].norm(dim=1), torch.ones(64), atol=1e-5)
    assert torch.allclose(users[:, :-1].norm(dim=1), torch.full((64,), 1 / config.temperature), atol=1e-3)
    assert torch.equal(users[:, -1], torch.ones(64))
    assert torch.allclose(items[:, -1:], model.bias(x["dense"][:, 3:]))


@pytest.mark.parametrize("fusion", ["concat", "mean", "weighted_sum", "gated", "attention"])
def test_without_any_feature_no_layer_is_empty(fusion: Any) -> None:
    """torch warns of zero-element tensors that it cannot initialise; the control `ids_only` has no feature."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        towers = TwoTower(TwoTowerConfig(fusion=fusion), 5, 6, 0, 0)
        dcnv2 = model_class("ranker", "dcnv2")
        ClickNetwork(dcnv2.Config(), dcnv2.body, 5, 6, {})
    items = towers.item_vectors(torch.arange(6), torch.zeros(6, 0))
    assert items.shape == (6, towers.vector_dim) and not items[:, -1].any()
