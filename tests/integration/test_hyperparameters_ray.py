"""A search on Ray Tune: trials at once, poor ones ended, lost workers survived, stopped and gone on with."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from factories.features import World
from factories.training import folds, tiny_config

from llmrec.config import HyperparametersConfig, RunConfig, load_config
from llmrec.hyperparameters import stage
from llmrec.hyperparameters.draws import Draws
from llmrec.hyperparameters.ray_tune import run_trials
from llmrec.variants import VALIDATED

pytestmark = pytest.mark.usefixtures("ray_cluster")
SPACE = {"ranker.dropout": {"least": 0, "most": 0.5}}


@pytest.mark.slow  # a kill
def test_trials_run_at_once_poor_ones_end_and_a_lost_worker_costs_no_other(tmp_path: Path) -> None:
    """Eight trials of eight epochs, one of which loses its worker."""
    config = HyperparametersConfig.model_validate({"space": SPACE, "concurrent": 2})
    ended: list[bool] = []
    notes = tmp_path / "notes"
    notes.mkdir()

    def trial(values: dict[str, Any], on_epoch: Any) -> float:
        note, begun = notes / str(values["ranker.dropout"]), time.monotonic()
        note.write_text("begun")
        while len(list(notes.iterdir())) < 2 and time.monotonic() < begun + 60:
            time.sleep(0.02)  # for another one, which comes meanwhile only where trials run at once
        with suppress(FileExistsError):
            if len(list(notes.iterdir())) >= 3:
                (tmp_path / "killed").mkdir()  # one of them alone
                os.kill(os.getpid(), signal.SIGKILL)
        for _ in range(8):
            on_epoch(values["ranker.dropout"])
            time.sleep(0.02)
        note.write_text("alone" if time.monotonic() > begun + 60 else "done")
        return float(values["ranker.dropout"])

    draws = Draws(config, [], 3)
    run_trials(trial, config, draws, 8, None, str(tmp_path), lambda _, lost: ended.append(lost))
    said = [note.read_text() for note in notes.iterdir()]
    assert len(said) == 8 and "alone" not in said
    assert said.count("done") + len(ended) == 8 and ended.count(True) == 1 and ended.count(False) >= 1
    run_trials(trial, config, draws, 8, -1.0, str(tmp_path), lambda _, lost: ended.append(lost))  # no time left
    assert len(list(notes.iterdir())) == 8


def test_a_search_that_was_stopped_goes_on_and_its_best_is_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = folds(tmp_path, World.random())
    values = {"hyperparameters": {"trials": 3, "space": {"ranker.ridge": {"least": 1, "most": 1000, "log": True}}}}
    training = tiny_config(retrievers=["time_at_risk"], ranker="listwise")
    config = RunConfig.model_validate(training.model_dump() | values)
    with monkeypatch.context() as context:  # stopped after the defaults and one trial

        def stopped(trial: Any, *_: Any) -> None:
            trial({"ranker.ridge": 10.0}, lambda _: None)
            raise KeyboardInterrupt

        context.setattr(stage, "run_trials", stopped)
        with pytest.raises(KeyboardInterrupt):
            stage.search(config, made.storage, made.validation, "text")
    found = stage.search(config, made.storage, made.validation, "text")
    rows = found.table("trials").to_pylist()
    assert [r["state"] for r in rows] == ["complete"] * 3
    assert rows[0]["ranker.ridge"] is None and rows[1]["ranker.ridge"] == "10.0"
    assert found.manifest.info[VALIDATED] == max(r[VALIDATED] for r in rows)
    best = load_config(found.uri(stage.BEST)).training.ranker
    assert best.ridge == found.manifest.info["best"].get("ranker.ridge")  # type: ignore[attr-defined]
    assert not list(Path(made.storage.root, "hyperparameter_runs").iterdir())
    assert stage.search(config, made.storage, made.validation, "text").id == found.id
