"""An ensemble of rankers: what it sums, what it chooses on held-out rows, and that it is saved whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from factories.features import World
from factories.training import Folds, folds, rows_of, tiny_config

from llmrec.config.models import model_config
from llmrec.models.base import ModelContext
from llmrec.models.files.store import load_model, make_model, save_model
from llmrec.models.rankers.ensemble import EnsembleRanker
from llmrec.models.validation import click_metrics
from llmrec.training.fit import load_context
from llmrec.training.stage import modules_of

MEMBERS = [{"name": "dcnv2", "epochs": 2}, {"name": "lambdarank", "rounds": 10}, "popularity"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folds:
    return folds(tmp_path_factory.mktemp("ensemble"), World.random())


@pytest.fixture(scope="module")
def context(made: Folds) -> ModelContext:
    return load_context(made.validation, "text")


@pytest.fixture(scope="module")
def fitted(made: Folds, context: ModelContext) -> tuple[EnsembleRanker, dict[str, object]]:
    config = model_config("ranker", {"name": "ensemble", "members": MEMBERS, "seeds": 2})
    model: EnsembleRanker = make_model("ranker", config, context)
    return model, model.fit(rows_of(made, context, "train"), rows_of(made, context, "validation"), 5)


def test_it_weighs_the_mean_of_each_members_seeds(
    fitted: tuple[EnsembleRanker, dict[str, object]], made: Folds, context: ModelContext
) -> None:
    model, chosen = fitted
    rows = rows_of(made, context, "validation")
    network, trees, popularity = ([fit.logits(rows) for fit in fits] for fits in model.members)
    assert not np.allclose(*network) and np.array_equal(*popularity)  # only where a seed decides anything
    means = [np.mean(found, axis=0) for found in (network, trees, popularity)]
    expected = sum(w * m for w, m in zip(chosen["weights"], means, strict=True)) + chosen["shift"]  # type: ignore
    assert np.allclose(model.logits(rows), expected, atol=1e-5)
    loss = click_metrics(rows.click, 1 / (1 + np.exp(-model.logits(rows))))["log_loss"]
    alone = [click_metrics(rows.click, 1 / (1 + np.exp(-found[0])))["log_loss"] for found in (network, trees)]
    assert loss < min(alone)


def test_fitted_anew_it_keeps_what_the_held_out_rows_chose(
    fitted: tuple[EnsembleRanker, dict[str, object]], made: Folds, context: ModelContext
) -> None:
    model, chosen = fitted
    assert json.loads(json.dumps(chosen)) == chosen  # as models.json and the report keep it
    config = model.config.model_copy(update=chosen)
    again = EnsembleRanker(config, context)
    assert again.members[0][1].config.epochs == chosen["chosen"][0][1]["epochs"]  # type: ignore[index]
    assert again.fit(rows_of(made, context, "train"), None, 5) == {}
    assert np.allclose(again._weights, chosen["weights"]) and again._shift == chosen["shift"]  # type: ignore[arg-type]


def test_it_is_saved_with_every_member(
    fitted: tuple[EnsembleRanker, dict[str, object]], made: Folds, context: ModelContext, tmp_path: Path
) -> None:
    model, _ = fitted
    save_model(str(tmp_path), model)
    rows = rows_of(made, context, "validation")
    assert np.array_equal(load_model(str(tmp_path), context).logits(rows), model.logits(rows))


def test_its_members_code_is_part_of_the_stages_identity() -> None:
    found = modules_of(tiny_config(ranker={"name": "ensemble", "members": ["lambdarank", "dcnv2"]}))
    assert {f"llmrec.models.rankers.{name}" for name in ("ensemble", "trees.lambdarank", "dcnv2")} <= set(found)


def test_a_weight_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="one of each of the 2 members, found 1"):
        model_config("ranker", {"name": "ensemble", "weights": [1.0]})


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (["ensemble"], "no ensembles themselves"),
        ([{"name": "mmoe", "outcomes": ["click", "purchase"]}], "of the click alone"),
        (["lambdarnk"], "lambdarank"),
        ([], "at least 1"),
    ],
)
def test_members_that_cannot_be_are_told_when_the_configuration_is_read(members: list[object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        model_config("ranker", {"name": "ensemble", "members": members})
