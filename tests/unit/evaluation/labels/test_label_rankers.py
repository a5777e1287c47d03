"""Rankers in the tables of labels on planted rows: what is fitted how often, what is found, nothing seen too early."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from llmrec.config.models import model_config
from llmrec.evaluation.labels import rankers, tables
from llmrec.evaluation.labels.rankers import baseline_clicks, baseline_rankers, fit_and_ask, our_likes
from llmrec.evaluation.labels.rows import LabelRows, in_order
from llmrec.evaluation.labels.tables import Predicted
from llmrec.features.dataset.rows import Examples
from llmrec.features.families.columns import FeatureColumn
from llmrec.models.linear import platt
from llmrec.schema import event_order

N, IDS = 4_000, 12
POPULAR, TEXT = FeatureColumn("popularity", "item_popularity"), FeatureColumn("similarity", "text_similarity")
STARS = FeatureColumn("stars", "user_stars")
NETWORK = {"embedding_dim": 2, "hidden": [16], "batch_size": 160, "dropout": 0, "epochs": 3, "learning_rate": 0.02}
#: Settings with which networks learn in a moment.
QUICK = {"ncf": {"embedding_dim": 4, "batch_size": 64, "epochs": 3, "learning_rate": 0.04, "dropout": 0}}


@dataclass(frozen=True)
class Described:
    """What a ranker asks of its context."""

    variant: str
    dense: list[FeatureColumn]
    history_length: int = 2
    spec: Any = field(default_factory=lambda: SimpleNamespace(n_users=IDS, n_items=IDS))

    @property
    def columns(self) -> dict[str, list[FeatureColumn]]:
        return dict(zip(("user", "item", "pair"), (self.dense[:1], self.dense[1:2], self.dense[2:]), strict=True))


CONTEXTS: dict[str, Any] = {
    "text": Described("text", [STARS, POPULAR, TEXT]),
    "no_text": Described("no_text", [STARS, POPULAR]),
}


def described(context: Described, flip: str = "") -> LabelRows:
    """Rows in order of time: what is popular and similar is clicked, and some items more than others."""
    rng = np.random.default_rng(1)
    stars, popular, similar = rng.normal(size=(3, N, 1)).astype(np.float32)
    item = rng.integers(1, IDS, N)
    logit = popular[:, 0] + 1.5 * similar[:, 0] + np.where(item % 2 == 0, 1.0, -1.0)
    click = (rng.random(N) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    ids = np.full(N, "x", object)
    pair = similar if TEXT in context.dense else np.zeros((N, 0), np.float32)
    past, ages, user = np.zeros((N, 2), np.int64), np.zeros((N, 2), np.float32), rng.integers(1, IDS, N)
    none = np.zeros((N, 0), np.float32)
    rows = Examples(ids, ids, np.arange(N), np.arange(N), click, user, item, past, ages, stars, popular, pair, none)
    parts = {"fit": (0, 2_000), "validation": (2_000, 3_000), "train": (0, 3_000), "test": (3_000, N)}
    cut = {name: rows.take(slice(*ends)) for name, ends in parts.items()}
    if flip:
        cut[flip] = replace(cut[flip], click=1 - cut[flip].click)
    return LabelRows(**cut)


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets `LabelRows.read` give planted rows."""

    def store(flip: str = "", change: Callable[[LabelRows], LabelRows] = lambda rows: rows) -> None:
        def read(cls: Any, examples: Any, context: Described, label: str) -> LabelRows:
            return change(described(context, flip))

        monkeypatch.setattr(LabelRows, "read", classmethod(read))

    store()
    return store


def fitted(name: str, flip: str = "", variant: str = "text") -> np.ndarray:
    config = model_config("ranker", {"name": name, **QUICK.get(name, {})})
    return fit_and_ask(config, CONTEXTS[variant], described(CONTEXTS[variant], flip), 7)[0]


def clicks(*names: str) -> list[Predicted]:
    return baseline_clicks(names, CONTEXTS, None, 7)  # type: ignore[arg-type]


def test_a_ranker_is_fitted_once_where_both_variants_give_it_the_same_columns(
    stored: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def note(config: Any, context: Described, rows: LabelRows, seed: int) -> Any:
        asked.append((config.name, context.variant))
        return np.zeros(len(rows.test)), {}

    monkeypatch.setattr(rankers, "fit_and_ask", note)
    found = clicks("popularity", "text_logistic", "ncf", "boosted")
    assert asked == [("popularity", "text"), ("text_logistic", "text"), ("ncf", "text"), ("boosted", "text"),
                     ("boosted", "no_text")]  # fmt: skip
    assert [p.name for p in found] == ["popularity", "text_logistic", "ncf", "boosted", "boosted_no_text"]
    assert len({p.label for p in found}) == len(found) and {p.kind for p in found} == {"baseline"}


@pytest.mark.parametrize("name", ["popularity", "text_logistic", "logistic", "boosted", "lambdarank", "ncf"])
def test_click_baselines_learn_before_t2_alone(name: str) -> None:
    found = fitted(name)
    assert len(found) == 1_000
    np.testing.assert_array_equal(fitted(name, "test"), found)
    assert (fitted(name, "train") != found).any()  # the positive control


@pytest.mark.parametrize("name", ["boosted", "lambdarank"])
def test_how_many_rounds_is_chosen_on_the_validation(name: str) -> None:
    assert (fitted(name, "validation") != fitted(name)).any()


@pytest.mark.parametrize(
    ("name", "least"), [("popularity", 0.6), ("text_logistic", 0.65), ("ncf", 0.6), ("boosted", 0.75)]
)
def test_what_tells_is_found_and_calibrated(stored: Callable[..., None], name: str, least: float) -> None:
    rows = described(CONTEXTS["text"]).test
    p = 1 / (1 + np.exp(-fitted(name)))
    assert roc_auc_score(rows.click, p) > least and abs(p.mean() - rows.click.mean()) < 0.06


def test_a_ranker_without_its_columns_is_a_constant_and_no_baseline(stored: Callable[..., None]) -> None:
    assert np.ptp(fitted("text_logistic", variant="no_text")) == 0
    assert np.ptp(fitted("text_logistic")) > 0
    assert [p.name for p in baseline_clicks(["text_logistic"], {"no_text": CONTEXTS["no_text"]}, None, 7)] == []  # type: ignore[arg-type]


def test_rows_of_one_label_have_no_baselines(stored: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    stored(change=lambda r: replace(r, validation=replace(r.validation, click=np.zeros_like(r.validation.click))))
    assert clicks("popularity") == [] and "rows of one label" in caplog.text


def test_baselines_are_those_of_a_size_or_those_named_but_ours() -> None:
    assert baseline_rankers("quick", None, "dcnv2") == ["popularity"]
    full = baseline_rankers("full", None, "dcnv2")
    assert {"popularity", "ncf", "boosted", "text_logistic", "deepfm"} < set(full) and "dcnv2" not in full
    assert baseline_rankers("quick", ["ease", "ncf", "dcnv2", "popularity"], "dcnv2") == ["ncf", "popularity"]
    assert baseline_rankers("quick", [], "dcnv2") == []


def asked(flip: bool = False) -> tables.TestRows:
    label = described(CONTEXTS["text"]).test.click > 0
    none = np.zeros(len(label), np.int64)
    return tables.TestRows(none, none, none, ~label if flip else label)


def likes(seeds: int = 1, seed: int = 7, *, rows: tables.TestRows | None = None, **network: Any) -> list[Predicted]:
    models = SimpleNamespace(models=SimpleNamespace(models={"ranker": {"name": "dcnv2", **NETWORK, **network}}))
    bundles = dict.fromkeys(CONTEXTS, models)
    return our_likes(bundles, CONTEXTS, None, rows or asked(), 4, seeds, seed)  # type: ignore[arg-type]


def test_our_network_learns_likes_is_calibrated_and_gives_the_same_again(stored: Callable[..., None]) -> None:
    found, label = likes(seeds=2), asked().label
    assert [(p.name, p.kind) for p in found] == [("text", "ours"), ("no_text", "ours")]
    text, without = (p.probability for p in found)
    assert roc_auc_score(label, text) > roc_auc_score(label, without) + 0.05 > 0.65
    assert abs(text.mean() - label.mean()) < 0.06 and 1 <= found[0].settings["epochs"] <= 3
    again = likes(seeds=1)[0]
    np.testing.assert_array_equal(again.by_seed[0], found[0].by_seed[0])
    assert len(found[0].by_seed) == 2 and (found[0].by_seed[1] != found[0].by_seed[0]).any()


def test_our_network_is_chosen_and_scaled_on_the_validation_alone(stored: Callable[..., None]) -> None:
    first = likes()[0].probability
    stored("validation")
    assert (likes()[0].probability != first).any()
    stored("test")
    np.testing.assert_array_equal(likes(rows=asked(flip=True))[0].probability, first)
    with pytest.raises(AssertionError, match="other test reviews than the corpus"):
        likes()


def test_likes_take_as_many_steps_as_clicks_would(stored: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def note(config: Any, *rest: Any, **more: Any) -> Any:
        sizes.append(config.batch_size)
        return np.zeros(1_000), {}

    monkeypatch.setattr(rankers, "fit_and_ask", note)
    likes()
    likes(batch_size=3)
    assert sizes == [32, 32, 2, 2]


def test_scaling_finds_slope_and_shift_and_never_turns_the_order() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=20_000)
    label = (rng.random(len(logits)) < 1 / (1 + np.exp(-(0.5 * logits - 1)))).astype(np.float32)
    assert platt(logits, label) == pytest.approx((0.5, -1), abs=0.05)
    slope, shift = platt(-logits, label)
    assert slope > 0 and 1 / (1 + np.exp(-shift)) == pytest.approx(label.mean(), abs=0.02)


def test_rows_stand_click_by_click_or_in_order_of_events() -> None:
    n = 60
    rng = np.random.default_rng(0)
    rows = described(CONTEXTS["text"]).train.take(slice(0, n))
    ids = {
        name: np.array([f"{name[0]}{k}" for k in rng.integers(9, size=n)], object) for name in ("user_ids", "item_ids")
    }
    click = (np.arange(n) % 3 == 0).astype(np.float32)
    rows = replace(rows, query=np.arange(n) // 3, times=np.arange(n) // 6, click=click, **ids).take(rng.permutation(n))
    by_click = in_order(rows, "click")
    assert (by_click.query == np.arange(n) // 3).all() and (by_click.click == click).all()
    for q in range(n // 3):
        negatives = by_click.item_ids[3 * q + 1 : 3 * q + 3].tolist()
        assert negatives == sorted(negatives)
    by_event = in_order(rows, "like")
    order = event_order(by_event.user_ids.tolist(), by_event.item_ids.tolist()).astype(object)
    keys = list(zip(by_event.times.tolist(), order.tolist(), strict=True))
    assert keys == sorted(keys)
