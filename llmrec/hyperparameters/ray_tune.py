"""Trials on Ray Tune, as many at once as there are CPUs. The only module that imports it."""

import logging
import time
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
from ray.tune.search import Searcher

from llmrec.config import HyperparametersConfig
from llmrec.files import filesystem
from llmrec.hyperparameters.draws import Draws, Values

#: Settings, and what to call after an epoch, → the trial's value; None of one that failed.
Trial = Callable[[Values, Callable[[float], None]], float | None]
#: Told of a trial that ended without a value, and whether its worker was lost.
Ended = Callable[[Values, bool], None]
_VALUE, _PROGRESS, _EPOCH = "value", "progress", "epoch"
_NO_END = 1_000_000  # epochs: a trial that is not poor runs as long as its own settings say


def run_trials(
    trial: Trial, config: HyperparametersConfig, draws: Draws, n: int, seconds: float | None, folder: str, ended: Ended
) -> None:
    """Run n trials, a CPU each, none begun after `seconds`. One that fails, or whose worker dies, costs no other.

    With `config.prune`, one is ended at epochs 2, 4, 8, … where it is below the median of those that came as far
    (asynchronous successive halving, Li et al., MLSys 2020). `folder`: where Ray Tune keeps its notes.
    """
    fs, path = filesystem(folder)
    prune = ASHAScheduler(_EPOCH, _PROGRESS, "max", max_t=_NO_END, grace_period=2, reduction_factor=2)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_trainable, trial=trial), {"CPU": 1}),
        tune_config=tune.TuneConfig(
            search_alg=_Search(draws, seconds, ended),
            scheduler=prune if config.prune else FIFOScheduler(),
            num_samples=n,
            max_concurrent_trials=config.concurrent,
            reuse_actors=True,  # a process imports torch once
        ),
        run_config=tune.RunConfig(name="ray_tune", storage_path=path, storage_filesystem=fs, verbose=0),
    )
    logging.getLogger("ray.tune").setLevel(logging.ERROR)  # our records say what failed
    tuner.fit()


def _trainable(values: Values, trial: Trial) -> None:
    epoch, progress = 0, 0.0

    def on_epoch(best: float) -> None:
        nonlocal epoch, progress
        epoch, progress = epoch + 1, best
        tune.report({_EPOCH: epoch, _PROGRESS: progress})  # does not return to a trial that is ended

    value = trial(values, on_epoch)
    if value is not None:
        tune.report({_VALUE: value, _PROGRESS: progress})


class _Search(Searcher):  # type: ignore[misc]  # Ray has no types
    """Asks and tells what draws the settings."""

    def __init__(self, draws: Draws, seconds: float | None, ended: Ended) -> None:
        super().__init__()
        self._draws, self._ended = draws, ended
        self._until = None if seconds is None else time.monotonic() + seconds

    def suggest(self, trial_id: str) -> Any:
        if self._until is not None and time.monotonic() > self._until:
            return self.FINISHED
        return self._draws.draw(trial_id)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        value = (result or {}).get(_VALUE)
        settings = self._draws.tell(trial_id, value)
        if value is None:
            self._ended(settings, error)
