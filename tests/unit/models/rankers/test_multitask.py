"""Rankers of many outcomes: planted rules are found, losses are as cited, a conversion is unbiased by the click."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from llmrec.config import RunConfig
from llmrec.config.models import model_config
from llmrec.features.dataset.rows import Examples
from llmrec.features.families.columns import FeatureColumn
from llmrec.models.files.store import make_model
from llmrec.models.networks.ordinal import CumulativeLogit
from llmrec.models.rankers.multitask.network import OutcomesNetwork
from llmrec.models.rankers.network_ranker import ranker_epoch
from llmrec.workers.process_group import ProcessGroup

NAMES = ("shared_bottom", "mmoe", "ple", "esmm")
OUTCOMES = ["click", "purchase", "dwell", "like", "stars"]
N, IDS = 3_000, 12
QUICK = {"embedding_dim": 2, "hidden": [16], "tower": [8], "batch_size": 128, "dropout": 0, "epochs": 6,
         "learning_rate": 0.02}  # fmt: skip


@dataclass(frozen=True)
class Described:
    """What a ranker asks of its context."""

    dense: list[FeatureColumn] = field(default_factory=lambda: [FeatureColumn(n, f"item_{n}") for n in "abc"])
    history_length: int = 2
    spec: Any = field(default_factory=lambda: SimpleNamespace(n_users=IDS, n_items=IDS))

    @property
    def columns(self) -> dict[str, list[FeatureColumn]]:
        return {"user": self.dense[:1], "item": self.dense[1:2], "pair": self.dense[2:]}


@dataclass(frozen=True)
class Planted:
    rows: Examples
    bought: np.ndarray  # (N,) P(purchase | click) of every row, clicked or not


def planted(seed: int = 0, n: int = N) -> Planted:
    """Column a makes click, b makes conversion, c makes stars; the more likely a click, the likelier it converts."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=(3, n, 1)).astype(np.float32)
    click = (rng.random(n) < expit(1.5 * a[:, 0] - 1.5)).astype(np.float32)
    bought = expit(a[:, 0] + 1.5 * b[:, 0] - 1)
    purchase = (click * (rng.random(n) < bought)).astype(np.float32)
    stars = np.clip(np.round(3.5 + 1.2 * c[:, 0] + rng.normal(size=n)), 1, 5)
    dwell = np.log1p(np.exp(2 + b[:, 0] + 0.5 * rng.normal(size=n)))
    known = (click == 1) & (rng.random(n) < 0.6)
    labels = [click, purchase, np.where(click == 1, dwell, np.nan), np.where(known, stars >= 4, np.nan),
              np.where(known, stars, np.nan)]  # fmt: skip
    ids, past = np.full(n, "x", object), np.zeros((n, 2), np.int64)
    user, item = rng.integers(0, IDS, (2, n))
    rows = Examples(ids, ids, np.arange(n), np.arange(n), click, user, item, past, past.astype(np.float32), a, b, c,
                    np.stack(labels, axis=1).astype(np.float32))  # fmt: skip
    return Planted(rows, bought)


def made(name: str, **settings: Any) -> Any:
    torch.manual_seed(1)
    config = model_config("ranker", {"name": name, "outcomes": OUTCOMES, **QUICK, **settings})
    return make_model("ranker", config, Described())  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "loss"), [*((name, "squared") for name in NAMES), ("mmoe", "ordinal")])
def test_each_outcome_is_found(name: str, loss: str) -> None:
    model, test = made(name, stars=loss), planted(1)
    model.fit(planted().rows, None, seed=3)
    found, labels = model.predictions(test.rows), dict(zip(OUTCOMES, test.rows.outcomes.T, strict=True))
    assert np.array_equal(found["click"], model.logits(test.rows))
    click, stars = test.rows.user[:, 0], test.rows.pair[:, 0]
    rules = {"click": click, "purchase": expit(1.5 * click - 1.5) * test.bought, "like": stars}
    for outcome, rule in rules.items():
        known = np.isfinite(labels[outcome])
        best, reached = (roc_auc_score(labels[outcome][known], said[known]) for said in (rule, found[outcome]))
        assert reached > best - 0.03, outcome
    for outcome in ("dwell", "stars"):
        known = np.isfinite(labels[outcome])
        left = np.var(labels[outcome][known] - found[outcome][known]) / np.var(labels[outcome][known])
        assert left < 0.65, outcome


def test_a_conversion_is_unbiased_by_the_click_that_selects_its_rows() -> None:
    """Over everything that was shown ESMM's mean and each tenth of its predictions hold; a conversion that is learned
    from clicked rows, as it is naively, says of all rows what holds of those that were clicked."""
    shown, test = planted(2, 8_000), planted(3, 8_000)
    both = shown.rows.outcomes[:, 1], test.rows.outcomes[:, 1]
    esmm = made("esmm", outcomes=["click", "purchase"])
    esmm.fit(_only(shown.rows, 2), None, seed=3)
    entire = expit(esmm.predictions(test.rows)["purchase"])
    naive = made("shared_bottom", outcomes=["click", "purchase"]).config.alone("purchase")
    naive = make_model("ranker", naive, Described())  # type: ignore[arg-type]
    clicked = shown.rows.take(np.flatnonzero(shown.rows.click == 1))
    naive.fit(replace(clicked, outcomes=clicked.outcomes[:, [1]]), None, seed=3)
    of_clicked = expit(naive.predictions(test.rows)["purchase"])
    truth = float(both[1].mean())
    error = 4 * np.sqrt(truth * (1 - truth) / len(test.rows))
    assert abs(entire.mean() - truth) < error + 0.1 * truth
    assert of_clicked.mean() > truth + 10 * error, "the naive model is far off, or nothing was selected"
    tenth = np.array_split(np.argsort(entire), 10)
    assert max(abs(entire[part].mean() - both[1][part].mean()) for part in tenth) < 0.06
    conversion = entire / expit(esmm.logits(test.rows))
    assert (conversion <= 1 + 1e-5).all()
    assert abs(conversion.mean() - test.bought.mean()) < abs(clicked.outcomes[:, 1].mean() - test.bought.mean())


def _only(rows: Examples, n: int) -> Examples:
    return replace(rows, outcomes=rows.outcomes[:, :n])


def test_what_nobody_knows_teaches_nothing_and_each_outcome_counts_as_its_mean() -> None:
    net: OutcomesNetwork = made("shared_bottom").net
    labels = torch.as_tensor(planted().rows.outcomes)
    net.standardise(labels, ProcessGroup())
    outputs = torch.randn(labels.shape, requires_grad=True)
    net.loss(outputs, labels).backward()
    assert outputs.grad is not None and torch.equal(outputs.grad == 0, labels.isnan())
    assert net.log_variance is not None and net.log_variance.grad is not None
    with torch.no_grad():
        means = net.losses(outputs, labels).sum(0) / (~labels.isnan()).sum(0)
        net.log_variance.copy_(means.log())  # the best weights are those of the noise: d/ds (e^−s L + s / 2) = 0
    found = net.loss(outputs.detach(), labels) / len(labels)
    expected = (torch.exp(-net.log_variance) * means + net.log_variance / 2).sum()
    assert torch.allclose(found, expected, rtol=1e-4)


def test_cumulative_logits_are_a_distribution_over_levels() -> None:
    head, outputs = CumulativeLogit((1, 2, 3, 4, 5)), torch.tensor([-3.0, 0.0, 0.7, 4.0])
    by_level = torch.stack([torch.exp(-head.losses(outputs, torch.full((4,), v))) for v in (1.0, 2.0, 3.0, 4.0, 5.0)])
    assert torch.allclose(by_level.sum(0), torch.ones(4), atol=1e-6)
    levels = torch.arange(1, 6, dtype=torch.float32)
    assert torch.allclose(head.expected(outputs), levels @ by_level, atol=1e-5)
    assert (head.expected(outputs).diff() > 0).all()
    assert torch.equal(head.losses(outputs, torch.full((4,), 3.5)), head.losses(outputs, torch.full((4,), 3.0)))


def test_two_workers_take_the_step_of_one() -> None:
    """Units and the gradient of a step over rows dealt to two are those of all rows."""
    rows, still = planted(4, 128).rows, {"batch_size": 128, "id_dropout": 0}
    one = made("ple", **still)
    one.prepare(rows, ProcessGroup())
    halves = [rows.take(slice(k, None, 2)) for k in range(2)]
    said = list[torch.Tensor]()

    class Other(ProcessGroup):
        def sum(self, value: torch.Tensor) -> torch.Tensor:
            said.append(value.clone())
            return value

    class Both(ProcessGroup):
        def sum(self, value: torch.Tensor) -> torch.Tensor:
            return value + said.pop()

    made("ple", **still).prepare(halves[1], Other())
    two = made("ple", **still)
    two.prepare(halves[0], Both())
    for unit in ("center", "scale", "share"):
        assert torch.allclose(getattr(two.net, unit), getattr(one.net, unit), rtol=1e-6)
    gradients = []
    for half in halves:
        net = made("ple", **still).net
        net.load_state_dict(one.net.state_dict())
        net.train()
        labels = torch.as_tensor(half.outcomes)
        net.loss(net(*_tensors(half)), labels).backward()
        gradients.append({n: p.grad for n, p in net.named_parameters() if p.grad is not None})
    optimizer = torch.optim.SGD(one.net.parameters(), lr=0.0)
    ranker_epoch(one.net, optimizer, rows, one.config, ProcessGroup(), np.random.default_rng(0), 128, one.target())
    for name, parameter in one.net.named_parameters():
        both = sum(g[name] for g in gradients) / len(rows)
        assert torch.allclose(parameter.grad, both, atol=1e-6), name


def _tensors(rows: Examples) -> list[torch.Tensor]:
    columns = (rows.user_idx, rows.item_idx, rows.history, rows.ages, rows.dense)
    return [torch.as_tensor(np.ascontiguousarray(column)) for column in columns]


def test_an_outcome_that_no_row_knows_is_refused_by_name() -> None:
    rows = planted().rows
    rows.outcomes[:, 2] = np.nan
    with pytest.raises(ValueError, match="outcome 'dwell': none of 3,000 training rows knows it"):
        made("mmoe").fit(rows, None, seed=0)


@pytest.mark.parametrize(("settings", "said"), [
    ({"outcomes": ["click", "purchas"]}, "no outcome 'purchas'; the nearest is 'purchase'"),
    ({"outcomes": ["purchase", "click"]}, "click first, found"),
    ({"outcomes": ["click", "impression"]}, "no outcome 'impression'"),
    ({"order": {"purchase": 2}}, "no outcome among order 'purchase'; the nearest is"),
    ({"weights": {"lik": 2}}, "the nearest is 'like'"),
    ({"order": {"click": 0}}, "one of them above 0"),
])  # fmt: skip
def test_names_are_checked_when_they_are_loaded(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RunConfig.model_validate({"training": {"ranker": {"name": "mmoe", **settings}}})


def test_outcomes_are_named_shortly() -> None:
    tasks = made("mmoe", outcomes=["click", "watch", {"dwell": {"at_least": 30}}, "stars"]).outcomes
    assert [task.form for task in tasks] == ["whether", "log_value", "whether", "stars"]
    assert (tasks[2].name, tasks[2].at_least) == ("dwell", 30)
