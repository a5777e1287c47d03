"""Settings drawn by Optuna, for trials that may run at once. The only module that imports it."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from llmrec.config import HyperparametersConfig
from llmrec.config.hyperparameters import Space

Values = dict[str, Any]


def distribution(space: Space) -> BaseDistribution:
    """The space as Optuna has it."""
    if space.choose is not None:
        return CategoricalDistribution(space.choose)
    assert space.least is not None and space.most is not None
    if space.integer:
        return IntDistribution(round(space.least), round(space.most), log=space.log)
    return FloatDistribution(space.least, space.most, log=space.log)


class Draws:
    """Tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), after six random settings.

    Trials under way count as poor ones (`constant_liar`), so that settings drawn at once differ.
    """

    def __init__(self, config: HyperparametersConfig, known: Sequence[tuple[Values, float]], seed: int) -> None:
        """`known`: settings and values of trials that were made before; those outside the space are left out."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._spaces = {key: distribution(space) for key, space in config.space.items()}
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=6, constant_liar=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        for point, value in known:
            if _inside(point, self._spaces):
                made = optuna.trial.create_trial(params=point, distributions=self._spaces, value=value)
                self._study.add_trial(made)
        self._drawn: dict[str, optuna.Trial] = {}

    def draw(self, name: str) -> Values:
        """Settings for the trial `name`."""
        self._drawn[name] = self._study.ask(self._spaces)
        return dict(self._drawn[name].params)

    def tell(self, name: str, value: float | None) -> Values:
        """What the trial found; None of one that ended without: its settings count as poor. Returns these."""
        drawn = self._drawn.pop(name)
        self._study.tell(drawn, value, state=TrialState.PRUNED if value is None else None)
        return dict(drawn.params)


def _inside(point: Mapping[str, Any], spaces: Mapping[str, BaseDistribution]) -> bool:
    """Whether the settings lie in the space: the defaults need not."""
    try:
        return all(spaces[key]._contains(spaces[key].to_internal_repr(point[key])) for key in spaces)
    except (KeyError, ValueError, TypeError):
        return False
