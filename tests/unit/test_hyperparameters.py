"""Trials measure what training measures; a search keeps to its budget, goes on, and writes what a pipeline reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from factories.features import World
from factories.training import Folds, folds, tiny_config

from llmrec.config import ConfigError, HyperparametersConfig, RunConfig, load_config
from llmrec.config.hyperparameters import Space, with_settings
from llmrec.hyperparameters.draws import Draws
from llmrec.hyperparameters.records import Records, TrialRecord
from llmrec.hyperparameters.stage import Trial, best_config, best_of, defaults_in, table
from llmrec.hyperparameters.trial import TrialTask, run_trial
from llmrec.models.validation import WHOLE
from llmrec.training import train
from llmrec.variants import VALIDATED


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folds:
    return folds(tmp_path_factory.mktemp("tuning"), World.random())


def test_a_trial_measures_what_training_measures(made: Folds) -> None:
    config, epochs = tiny_config(), list[float]()
    task = TrialTask(made.validation, "text", config.seed, config.evaluation.retrieve)
    value = run_trial(config.training, task, epochs.append)
    models = train(config, made.storage, made.validation, made.test, ["text"])["text"]
    assert value == models.manifest.info["validation"][WHOLE][VALIDATED]
    assert len(epochs) >= 2


SPACE: dict[str, Any] = {
    "two_tower.dim": {"choose": [4, 8]}, "ranker.dropout": {"least": 0, "most": 0.5},
    "two_tower.epochs": {"least": 1, "most": 3, "integer": True},
}  # fmt: skip


def searched(**search: Any) -> RunConfig:
    return RunConfig.model_validate(tiny_config().model_dump() | {"hyperparameters": {"space": SPACE, **search}})


def trial(folder: Path, measure: Any, config: RunConfig) -> Trial:
    return Trial(config, None, Records(f"{folder}/trials"), measure)  # type: ignore[arg-type]


def test_trials_are_recorded_and_none_is_made_twice(tmp_path: Path) -> None:
    asked: list[int] = []

    def measure(training: Any, task: Any, on_epoch: Any) -> float:
        asked.append(training.retrievers[0].dim)
        on_epoch(0.1)
        if training.retrievers[0].dim == 4:
            raise ValueError("too narrow")
        return training.retrievers[0].dim / 10

    run = trial(tmp_path, measure, searched())
    assert [run(v, lambda _: None) for v in ({}, {"two_tower.dim": 16}, {"two_tower.dim": 16})] == [0.8, 1.6, 1.6]
    assert run({"two_tower.dim": 4}, lambda _: None) is None
    records = run.records.all()
    assert asked == [8, 16, 4] and [r.state for r in records] == ["complete", "complete", "failed"]
    assert best_of(records).values == {"two_tower.dim": 16} and records[1].best_epoch == 0.1
    rows = table(records).to_pylist()
    assert [r[VALIDATED] for r in rows] == [0.8, 1.6, None] and [r["two_tower.dim"] for r in rows] == [None, "16", "4"]
    assert "too narrow" in rows[2]["error"]


def test_a_trial_that_was_ended_or_killed_is_neither_best_nor_done(tmp_path: Path) -> None:
    records = Records(f"{tmp_path}/trials")
    records.write(TrialRecord(number=1.0, values={}, state="complete", value=0.2))
    records.write(TrialRecord(number=2.0, values={"two_tower.dim": 4}, best_epoch=0.9))
    assert records.find({"two_tower.dim": 4}) is None and best_of(records.all()).value == 0.2


def test_what_was_found_is_a_configuration_and_baselines_get_the_same_budget(tmp_path: Path) -> None:
    config = searched(trials=30)
    best = TrialRecord(number=1.0, values={"two_tower.dim": 4, "ranker.dropout": 0.3}, state="complete", value=0.5)
    file = tmp_path / "best.yaml"
    file.write_text(best_config(config, best))
    found = load_config(file)
    assert found.training.retrievers[0].dim == 4 and found.training.ranker.dropout == 0.3  # type: ignore[attr-defined]
    assert found.evaluation.tuning_trials == 30
    assert found.training.retrievers[0].batch_size == config.training.retrievers[0].batch_size  # type: ignore[attr-defined]
    assert defaults_in(config) == {"two_tower.dim": 8, "ranker.dropout": config.training.ranker.dropout,  # type: ignore[attr-defined]
                                   "two_tower.epochs": 4}  # fmt: skip


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            {"two_towers.dim": {"choose": [4]}},
            "in hyperparameters.space 'two_towers'; the nearest is 'two_tower'",
        ),
        ({"two_tower.dims": {"choose": [4]}}, "two_tower has no setting 'dims'; the nearest is 'dim'"),
        ({"two_tower.dim": {"choose": [4, 0]}}, "two_tower.dim: Input should be greater than or equal to 2, found 0"),
        ({"ranker.ridge": {"least": -1, "most": 3}}, "listwise.ridge: Input should be greater than 0, found -1"),
        ({"ranker.ridge": {"least": 3}}, "either `choose: .values.`, or both `least` and `most`"),
        ({"ranker.ridge": {"least": 3, "most": 2}}, "`least` below `most`, found 3.0 and 2.0"),
        ({"ranker.ridge": {"least": 0, "most": 2, "log": True}}, "`least` above 0 for a logarithmic scale, found 0"),
    ],
)
def test_a_space_that_no_model_takes_is_refused_on_load(space: Any, said: str, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"hyperparameters": {"space": space}}))
    with pytest.raises(ConfigError, match=said):
        load_config(tmp_path / "run.yaml")


def test_settings_of_others_stay() -> None:
    training = tiny_config().training
    changed = with_settings(training, {"ranker.dropout": 0.4})
    assert changed.ranker.dropout == 0.4 and changed.retrievers == training.retrievers  # type: ignore[attr-defined]
    assert with_settings(training, {}) == training
    assert Space(least=1, most=2).choose is None and HyperparametersConfig().space == {}


def test_settings_are_drawn_from_the_space_and_what_is_known_counts() -> None:
    """Unless it lies outside the space; poor and failed settings keep Optuna away."""
    config = HyperparametersConfig.model_validate({"space": SPACE})
    known = [({"two_tower.dim": 8, "ranker.dropout": 0.2, "two_tower.epochs": 2}, 0.2),
             ({"two_tower.dim": 99, "ranker.dropout": 0.2, "two_tower.epochs": 2}, 0.9),
             ({"ranker.dropout": None}, 0.9)]  # fmt: skip
    draws = Draws(config, known, 3)
    at_once = [draws.draw(f"t{n}") for n in range(4)]
    assert len({str(values) for values in at_once}) == 4
    for n, values in enumerate(at_once):
        assert values["two_tower.dim"] in (4, 8) and 0 <= values["ranker.dropout"] <= 0.5
        assert draws.tell(f"t{n}", None if n == 1 else values["ranker.dropout"]) == values
    later = []
    for n in range(40):
        later.append(draws.draw(f"l{n}")["ranker.dropout"])
        draws.tell(f"l{n}", later[-1])
    assert np.mean(later[-10:]) > np.mean([v["ranker.dropout"] for v in at_once]) + 0.1  # more is better here
    assert Draws(config, known, 3).draw("a") == at_once[0]


def test_a_trial_without_an_end_of_its_own_gets_one(tmp_path: Path) -> None:
    records = Records(f"{tmp_path}/trials")
    for n, state in enumerate(("begun", "begun", "complete")):
        records.write(TrialRecord(number=n, values={"ranker.ridge": n}, state=state))  # type: ignore[arg-type]
    for n, lost in ((0, False), (1, True), (2, True)):
        records.end({"ranker.ridge": n}, lost)
    assert [r.state for r in records.all()] == ["pruned", "failed", "complete"]
    assert "worker was lost" in records.all()[1].error
