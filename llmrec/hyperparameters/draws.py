"""Settings drawn by Optuna, one trial after the other in this process. The only module that imports it."""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from llmrec.config import HyperparametersConfig
from llmrec.config.hyperparameters import Space
from llmrec.hyperparameters.records import TrialEnded

Values = dict[str, Any]
#: Settings, and what to call after an epoch, → the trial's value.
Trial = Callable[[Values, Callable[[float], None]], float]


def distribution(space: Space) -> BaseDistribution:
    """The space as Optuna has it."""
    if space.choose is not None:
        return CategoricalDistribution(space.choose)
    assert space.least is not None and space.most is not None
    if space.integer:
        return IntDistribution(round(space.least), round(space.most), log=space.log)
    return FloatDistribution(space.least, space.most, log=space.log)


def run_trials(
    trial: Trial,
    config: HyperparametersConfig,
    known: Sequence[tuple[Values, float]],
    n: int,
    seconds: float | None,
    seed: int,
) -> None:
    """Run n trials more, none begun after `seconds`; `known`: settings and values of trials that were made before.

    The trial keeps its own record. One that raises costs no other.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spaces, begun = {key: distribution(space) for key, space in config.space.items()}, time.monotonic()
    pruner = optuna.pruners.MedianPruner(3, 1) if config.prune else optuna.pruners.NopPruner()
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=6)
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    for point, value in known:
        if _inside(point, spaces):
            study.add_trial(optuna.trial.create_trial(params=point, distributions=spaces, value=value))
    for _ in range(n):
        if seconds is not None and time.monotonic() - begun > seconds:
            return
        drawn = study.ask(spaces)
        try:
            study.tell(drawn, trial(drawn.params, _judge(drawn)))
        except TrialEnded:
            study.tell(drawn, state=optuna.trial.TrialState.PRUNED)
        except Exception:  # whatever a model raises; its record says what
            study.tell(drawn, state=optuna.trial.TrialState.FAIL)


def _judge(drawn: optuna.Trial) -> Callable[[float], None]:
    epochs = count()

    def judge(progress: float) -> None:
        drawn.report(progress, next(epochs))
        if drawn.should_prune():
            raise TrialEnded

    return judge


def _inside(point: Mapping[str, Any], spaces: Mapping[str, BaseDistribution]) -> bool:
    """Whether the settings lie in the space: the defaults need not."""
    try:
        return all(spaces[key]._contains(spaces[key].to_internal_repr(point[key])) for key in spaces)
    except (KeyError, ValueError, TypeError):
        return False
