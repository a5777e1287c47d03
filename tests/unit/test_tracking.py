"""What is shown while a run goes on: each row once, in TensorBoard's events and in a run of MLflow."""

import logging
from pathlib import Path
from typing import Any

import pytest

from llmrec.config import RunConfig
from llmrec.tracking import Tracked, flattened

ROWS = [{"epoch": n, "loss": 1 / n, "auc": 0.5 + n / 100} for n in range(1, 5)]


def tracked(**tracking: Any) -> Tracked:
    config = RunConfig.model_validate({"name": "shop", "tracking": tracking})
    return Tracked.of(config, "abc123", "training")


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """MLflow's store in a folder, for which its package needs no server; it wants to be told that this is meant."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return f"file://{tmp_path}/mlruns"


def runs(uri: str) -> list[Any]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("shop")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def history(uri: str, run: str, key: str) -> list[tuple[int, float]]:
    from mlflow.tracking import MlflowClient

    return sorted((m.step, m.value) for m in MlflowClient(tracking_uri=uri).get_metric_history(run, key))


def test_mlflow_has_one_run_with_settings_and_each_row_once_though_it_was_killed(mlflow: str) -> None:
    first = tracked(mlflow=mlflow)
    curves = first.curves()
    for n in (1, 2, 3):
        curves.show("text.ranker.validation", ROWS[:n], "epoch")
    again = first.curves()  # another process, which goes on from what was reported after the second epoch
    again.resume("text.ranker.validation", 2)
    for n in (3, 4):
        again.show("text.ranker.validation", ROWS[:n], "epoch")
    again.figures({"temporal/text/ndcg@10": 0.25})
    (run,) = runs(mlflow)
    id_ = run.info.run_id
    assert history(mlflow, id_, "text.ranker.validation/loss") == [(r["epoch"], r["loss"]) for r in ROWS]
    assert history(mlflow, id_, "temporal/text/ndcg_10") == [(0, 0.25)]
    assert run.data.params["training.ranker.name"] == "listwise" and run.data.params["seed"] == "7"


def test_tensorboard_has_a_folder_a_fit(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves = tracked(tensorboard=str(tmp_path)).curves()
    curves.show("one", ROWS[:3], "epoch")
    again = tracked(tensorboard=str(tmp_path)).curves()
    again.resume("one", 2)
    again.show("one", ROWS, "epoch")
    again.show("two", ROWS[:1], "epoch")
    found = EventAccumulator(str(tmp_path / "abc123" / "one")).Reload().Scalars("auc")
    assert [(e.step, pytest.approx(e.value)) for e in found] == [(r["epoch"], r["auc"]) for r in ROWS]
    assert (tmp_path / "abc123" / "two").is_dir()


def test_a_server_that_is_away_stops_nothing_and_is_told_everything_later(
    mlflow: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from mlflow.tracking import MlflowClient

    curves, create = tracked(mlflow=mlflow).curves(), MlflowClient.create_run

    def away(*_: Any, **__: Any) -> Any:
        raise ConnectionError("away")

    monkeypatch.setattr(MlflowClient, "create_run", away)
    with caplog.at_level(logging.WARNING):
        curves.show("fit", ROWS[:2], "epoch")
    assert "tracking: fit of MLflow not shown: away" in caplog.text
    monkeypatch.setattr(MlflowClient, "create_run", create)
    curves.show("fit", ROWS[:3], "epoch")
    (run,) = runs(mlflow)
    assert [step for step, _ in history(mlflow, run.info.run_id, "fit/loss")] == [1, 2, 3]


def test_nothing_is_shown_where_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    curves = tracked().curves()
    curves.show("fit", ROWS, "epoch")
    curves.figures({"x": 1.0})
    assert not list(tmp_path.iterdir())


def test_settings_are_flat() -> None:
    assert flattened({"a": {"b": 1, "c": {}}, "d": [1, 2]}, ".") == {"a.b": 1, "a.c": {}, "d": [1, 2]}
