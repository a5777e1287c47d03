"""The stage `hyperparameters`: the defaults, then trials; each in a table, the best as a configuration."""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import yaml

from llmrec.config import RunConfig
from llmrec.config.hyperparameters import with_settings
from llmrec.files import delete_folder, write_bytes
from llmrec.hyperparameters.draws import Draws
from llmrec.hyperparameters.ray_tune import run_trials
from llmrec.hyperparameters.records import Records, TrialRecord
from llmrec.hyperparameters.trial import OnEpoch, TrialTask, run_trial
from llmrec.storage import Artifact, Storage, artifact_id
from llmrec.threads import one_torch_thread
from llmrec.training.stage import modules_of
from llmrec.variants import VALIDATED

logger = logging.getLogger(__name__)
TRIALS, BEST = "trials", "best.yaml"


class SearchError(ValueError):
    """A search that found nothing to use."""


def search(config: RunConfig, storage: Storage, validation_examples: Artifact, variant: str) -> Artifact:
    """Table `trials`, one row each, the defaults first; `best.yaml`, a configuration that `jobs.pipeline` takes.

    A search that was stopped goes on: what its trials found lies below `hyperparameter_runs/` till the artifact is.
    """
    if not config.hyperparameters.space:
        raise SearchError(
            "hyperparameters.space: found none, expected settings to try, for example "
            "{two_tower.dim: {choose: [16, 32, 64]}, two_tower.learning_rate: {least: 0.0003, most: 0.01, log: true}}"
        )
    sections = {s: getattr(config, s).model_dump(mode="json") for s in ("hyperparameters", "training")}
    read = {**sections,
            "seed": config.seed, "variant": variant, "retrieve": config.evaluation.retrieve}  # fmt: skip
    parents, also = {"validation": validation_examples.id}, modules_of(config)
    made_id = artifact_id(__name__, read, parents, also)
    if storage.find("hyperparameters", made_id) is None:
        folder = f"{storage.root}/hyperparameter_runs/{made_id}"
        with storage.build(
            "hyperparameters", made_id, module=__name__, config=read, parents=parents, also=also
        ) as writer:
            task = TrialTask(validation_examples, variant, config.seed, config.evaluation.retrieve)
            records = _run(config, task, folder)
            writer.write_table(TRIALS, table(records))
            best = best_of(records)
            write_bytes(writer.uri(BEST), best_config(config, best).encode())
            writer.info = {"best": best.values, VALIDATED: best.value, "defaults": records[0].value,
                           "trials": len(records), "seconds": sum(r.seconds for r in records)}  # fmt: skip
        delete_folder(folder)
    found = storage.find("hyperparameters", made_id)
    assert found is not None
    return found


def _run(config: RunConfig, task: TrialTask, folder: str) -> list[TrialRecord]:
    """The trials that earlier runs left to do, after those that they made."""
    records, space = Records(f"{folder}/trials"), config.hyperparameters
    trial = Trial(config, task, records)
    if trial({}, lambda _: None) is None:
        raise SearchError(f"the defaults: {records.all()[0].error}; expected settings that can be fitted")
    done = [r for r in records.all() if r.state != "begun"]
    if len(done) > 1:
        logger.info("search: going on after %d trials", len(done))
    spent = sum(r.seconds for r in done)
    left = None if space.seconds is None else space.seconds - spent
    if len(done) < space.trials and (left is None or left > 0):
        known = [(defaults_in(config) | r.values, r.value) for r in done if r.value is not None]
        draws = Draws(space, known, config.seed + len(done))
        run_trials(trial, space, draws, space.trials - len(done), left, folder, records.end)
    return [r for r in records.all() if r.state != "begun"]


@dataclass(frozen=True)
class Trial:
    """A trial that keeps its record, and is not made again."""

    config: RunConfig
    task: TrialTask
    records: Records
    measure: Callable[..., float] = run_trial

    def __call__(self, values: dict[str, Any], on_epoch: OnEpoch) -> float | None:
        """VALIDATED; None of a trial that failed, which costs no other: its record says why."""
        known = self.records.find(values)
        if known is not None and known.state == "complete":
            return known.value
        record = TrialRecord(number=time.time(), values=values)
        self._note(record)

        def progress(best: float) -> None:
            self._note(record, best_epoch=best)
            on_epoch(best)

        try:
            with one_torch_thread():
                value = self.measure(with_settings(self.config.training, values), self.task, progress)
        except Exception as error:  # whatever a model raises
            self._note(record, state="failed", error=f"{type(error).__name__}: {error}")
            return None
        self._note(record, state="complete", value=value)
        logger.info("search: %s %.4f %s", VALIDATED, value, json.dumps(values))
        return value

    def _note(self, record: TrialRecord, **found: Any) -> None:
        for name, value in {"seconds": time.time() - record.number, **found}.items():
            setattr(record, name, value)
        self.records.write(record)


def defaults_in(config: RunConfig) -> dict[str, Any]:
    """The settings of `hyperparameters.space` as the configuration has them."""
    training = config.training
    models = {c.name: c for c in training.retrievers} | {
        "ranker": training.ranker, "blender": training.blender, "calibrator": training.calibrator
    }  # fmt: skip
    pairs = (key.partition(".")[::2] for key in config.hyperparameters.space)
    return {f"{model}.{setting}": getattr(models[model], setting) for model, setting in pairs}


def best_of(records: list[TrialRecord]) -> TrialRecord:
    """The trial with the best value, the earliest of several; never one that was ended or failed."""
    return max((r for r in records if r.value is not None), key=lambda record: record.value or 0.0)


def table(records: list[TrialRecord]) -> pa.Table:
    """A row a trial, in order; settings as JSON, one column each."""
    keys = sorted({key for record in records for key in record.values})
    rows = [
        {"trial": n, "state": r.state, VALIDATED: r.value, "epochs_best": r.best_epoch, "seconds": r.seconds,
         "error": r.error, **{key: json.dumps(r.values[key]) if key in r.values else None for key in keys}}
        for n, r in enumerate(records)
    ]  # fmt: skip
    kinds = {"trial": pa.int64(), "state": pa.string(), VALIDATED: pa.float64(), "epochs_best": pa.float64(),
             "seconds": pa.float64(), "error": pa.string()}  # fmt: skip
    return pa.Table.from_pylist(rows, pa.schema([*kinds.items(), *((key, pa.string()) for key in keys)]))


def best_config(config: RunConfig, best: TrialRecord) -> str:
    """The whole configuration with the settings found, as YAML; baselines may try as many as we did."""
    tuning = max(config.evaluation.tuning_trials, config.hyperparameters.trials)
    found = config.model_copy(
        update={
            "training": with_settings(config.training, best.values),
            "evaluation": config.evaluation.model_copy(update={"tuning_trials": tuning}),
        }
    )
    values = found.model_dump(mode="json")
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
