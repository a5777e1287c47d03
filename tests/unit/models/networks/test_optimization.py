"""How networks learn: rates, clipping, optimisers of their own for ids, precision, and going on where a fit stood."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from llmrec.models.networks.epochs import FitState, run_epochs
from llmrec.models.networks.layers import IdEmbedding
from llmrec.models.networks.optimization import Optimization, OptimizationConfig, Schedule, Stepper, rate_factor
from llmrec.workers.process_group import ProcessGroup

OPTIMIZERS = {"adamw": 0.05, "adagrad": 0.3, "lion": 0.03}


class Settings(OptimizationConfig):
    name: str = "affinities"
    epochs: int = 6
    patience: int = 9
    batch_size: int = 32


class Affinities(nn.Module):
    """A user's and an item's vectors, and a line through one feature."""

    def __init__(self) -> None:
        super().__init__()
        self.users, self.items, self.line = IdEmbedding(20, 4), IdEmbedding(20, 4), nn.Linear(1, 1)

    def forward(self, users: torch.Tensor, items: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.einsum("bd,bd->b", self.users(users), self.items(items)) + self.line(x)[:, 0]
        return found


class Regression:
    """What is there to be learned is a line, and who likes what."""

    metric, sign, n_rows = "loss", -1, 256

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.net, rng = Affinities(), np.random.default_rng(1)
        users, items = (torch.as_tensor(rng.integers(1, 20, self.n_rows)) for _ in range(2))
        x = torch.as_tensor(rng.normal(size=(self.n_rows, 1)), dtype=torch.float32)
        self.rows, self.y = (users, items, x), 2 * x[:, 0] + (users % 2 == items % 2).float()
        self.dtypes = set[torch.dtype]()
        self.net.line.register_forward_hook(lambda _, __, out: self.dtypes.add(out.dtype))

    def epoch(self, optimizer: Stepper, rng: np.random.Generator) -> float:
        order, losses = torch.as_tensor(rng.permutation(self.n_rows)), []
        for rows in torch.split(order, 32):
            optimizer.zero_grad()
            loss = ((self.net(*(column[rows] for column in self.rows)).float() - self.y[rows]) ** 2).mean()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses))

    def validate(self) -> dict[str, float]:
        return {}


def fitted(state: FitState | None = None, epochs: int = 6, **settings: Any) -> tuple[Regression, FitState]:
    task, state = Regression(), state or FitState()
    run_epochs(task, Settings(**settings), state, ProcessGroup(), 5, epochs, False, lambda: None)
    return task, state


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_each_learns_and_an_interrupted_fit_goes_on_as_if_nothing_had_been(name: str, schedule: Schedule) -> None:
    settings = {"optimizer": name, "learning_rate": OPTIMIZERS[name], "schedule": schedule, "warm_up": 0.2,
                "embedding_optimizer": "adagrad", "clip_norm": 5.0}  # fmt: skip
    _, whole = fitted(**settings)
    assert whole.curve[-1]["loss"] < 0.7 * whole.curve[0]["loss"]
    states: list[dict[str, Any]] = []

    class Killed(Exception):
        pass

    part = FitState()

    def kill() -> None:
        if part.epoch == 3:
            states.append({k: v.clone() for k, v in part.model.items()})
            raise Killed

    with pytest.raises(Killed):
        run_epochs(Regression(), Settings(**settings), part, ProcessGroup(), 5, 6, False, kill)
    _, again = fitted(part, **settings)
    assert [e["loss"] for e in again.curve] == [e["loss"] for e in whole.curve]
    assert all(torch.equal(w, again.model[n]) and not torch.equal(w, states[0][n]) for n, w in whole.model.items())


def test_rates_rise_in_the_warm_up_and_fall_as_their_schedule_says() -> None:
    shares = np.linspace(0, 1, 101)
    cosine, cycle, constant = (
        np.array([rate_factor(schedule, share, 0.1) for share in shares])
        for schedule in ("cosine", "one_cycle", "constant")
    )
    for rates, begin in ((cosine, 0), (cycle, 1 / 25), (constant, 0)):
        assert rates[0] == pytest.approx(begin) and rates[10] == 1 and (np.diff(rates[:11]) > 0).all()
    assert np.array_equal(cosine[10:], cycle[10:]) and cosine[100] == pytest.approx(0)
    assert (np.diff(cosine[10:]) < 0).all() and (constant[10:] == 1).all()
    assert cycle[5] == pytest.approx((1 + 1 / 25) / 2)  # half-way up its half cosine
    assert rate_factor("cosine", 0, 0) == 1


def test_a_long_gradient_is_cut_to_the_norm_and_a_short_one_is_left() -> None:
    line = nn.Linear(3, 1)
    for norm, expected in ((0.5, 0.5), (100.0, None)):
        optimization = Optimization(line, Settings(clip_norm=norm), 10)
        optimization.zero_grad()
        ((1_000 if expected else 1) * line(torch.ones(1, 3)).sum()).backward()
        before = _norm(line)
        optimization.step()
        assert _norm(line) == pytest.approx(expected or before, rel=1e-4)


def _norm(net: nn.Module) -> float:
    return float(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]).norm())


def test_tables_of_ids_have_a_rate_and_an_optimiser_of_their_own() -> None:
    """Adagrad's first step has the length of its rate in each number, of whoever was in the batch."""
    task = Regression()
    before = {name: w.clone() for name, w in task.net.state_dict().items()}
    settings = Settings(embedding_optimizer="adagrad", embedding_learning_rate=0.25, learning_rate=1e-6, weight_decay=0)
    optimization = Optimization(task.net, settings, 100)
    ((task.net(*task.rows) - task.y) ** 2).sum().backward()
    optimization.step()
    moved = {name: (w - before[name]).abs() for name, w in task.net.state_dict().items()}
    for name in ("users.table.weight", "items.table.weight"):
        assert torch.allclose(moved[name][1:], torch.tensor(0.25), atol=1e-4) and (moved[name][0] == 0).all()
    assert 0 < float(moved["line.weight"].max()) <= 2e-6


def test_bfloat16_is_computed_in_and_weights_stay_float32() -> None:
    exact, whole = fitted(learning_rate=0.05)
    coarse, half = fitted(learning_rate=0.05, precision="bfloat16")
    assert exact.dtypes == {torch.float32} and coarse.dtypes == {torch.bfloat16}
    assert {w.dtype for w in half.model.values()} == {torch.float32}
    assert half.curve[-1]["loss"] == pytest.approx(whole.curve[-1]["loss"], abs=0.02)
    assert half.curve[-1]["loss"] < 0.5 * half.curve[0]["loss"]  # no weight of the first step was kept
