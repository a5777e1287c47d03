"""Tables of probabilities: AUC to calibration, with intervals and paired comparisons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from llmrec.config import EvaluationConfig
from llmrec.evaluation.labels.metrics import STARS, calibration, click_metrics, star_metrics
from llmrec.evaluation.records.tables import CalibrationBin, LabelTable, ModelKind, ModelResult
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Resampled, combined
from llmrec.evaluation.statistics.comparisons import Pair, compare
from llmrec.features.asof.interactions import Floats, Interactions, Ints
from llmrec.features.dataset.rows import Examples

PRIMARY = "auc"


@dataclass(frozen=True)
class TestRows:
    """The rows that every model is asked about: dense rows of `Interactions`, times and labels, all (n,)."""

    user: Ints
    item: Ints
    time: Ints
    label: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Examples, data: Interactions) -> Self:
        """From test rows of `examples`, in their order."""
        user, item = (
            _places(ids, wanted) for ids, wanted in ((data.user_ids, rows.user_ids), (data.item_ids, rows.item_ids))
        )
        return cls(user, item, rows.times, rows.click > 0)


def _places(ids: Sequence[str], wanted: npt.NDArray[np.object_]) -> Ints:
    place = {i: n for n, i in enumerate(ids)}
    return np.fromiter((place[i] for i in wanted), np.int64, len(wanted))


@dataclass(frozen=True)
class Predicted:
    """One model's probabilities, one array (n,) a seed."""

    name: str
    kind: ModelKind
    label: str
    description: str
    by_seed: list[Floats]
    settings: Mapping[str, Any] = field(default_factory=dict)
    trials: int | None = None

    @property
    def probability(self) -> Floats:
        """(n,) of the first seed: what the file holds."""
        return self.by_seed[0]


def click_table(
    rows: TestRows, predicted: Sequence[Predicted], config: EvaluationConfig, seed: int, negatives: int
) -> LabelTable:
    """The table `click`; the first model is compared with each other one."""
    return probability_table(
        "click", rows, predicted, [(predicted[0].name, p.name) for p in predicted[1:]],
        "Each event at t ≥ T2 is a positive; beside it stand up to "
        f"{negatives} negatives, drawn once by popularity as of t among items known before t that the user had not "
        "reviewed by t. Probabilities therefore speak of this mixture, not of a shop's traffic. Parameters are fitted "
        "before T2.", config, seed,
    )  # fmt: skip


def probability_table(
    label: Literal["click", "like", "outcome"], rows: TestRows, predicted: Sequence[Predicted],
    compared: Sequence[tuple[str, str]], description: str, config: EvaluationConfig, seed: int, name: str = "",
) -> LabelTable:  # fmt: skip
    """AUC to ECE with intervals; the pairs (model, against) in `compared` on AUC and log loss, as one family.

    `name`: the table's, where it is not the label's.
    """
    bootstrap = Bootstrap(rows.user, config.bootstrap, seed, rows.item)
    drawn = {p.name: _over_seeds(bootstrap, rows, p, config.threshold) for p in predicted}
    pairs = [
        Pair(a, b, metric, drawn[a][metric], drawn[b][metric]) for a, b in compared for metric in (PRIMARY, "log_loss")
    ]
    return LabelTable(
        name=name or label, information_set="point_in_time", label=label, n_rows=len(rows.label),
        description=description,
        n_users=len(np.unique(rows.user)), positive_share=float(rows.label.mean()), threshold=config.threshold,
        models=[_result(p, rows, drawn[p.name], config.confidence) for p in predicted],
        comparisons=compare(pairs, config.confidence),
    )  # fmt: skip


def number_table(
    label: Literal["stars", "outcome"], rows: TestRows, truth: Floats, predicted: Sequence[Predicted],
    compared: Sequence[tuple[str, str]], description: str, config: EvaluationConfig, seed: int, name: str = "",
) -> LabelTable:  # fmt: skip
    """RMSE and MAE of numbers (n,) with intervals; the pairs in `compared` on both, as one family."""
    bootstrap = Bootstrap(rows.user, config.bootstrap, seed, rows.item)
    drawn = {p.name: averaged([bootstrap.statistics(star_metrics(truth, s)) for s in p.by_seed]) for p in predicted}
    pairs = [Pair(a, b, k, drawn[a][k], drawn[b][k]) for a, b in compared for k in STARS]
    results = [
        ModelResult(
            name=p.name, kind=p.kind, label=p.label, description=p.description, seeds=len(p.by_seed),
            settings=dict(p.settings), trials=p.trials,
            metrics={k: s.estimate(config.confidence) for k, s in drawn[p.name].items()},
        )
        for p in predicted
    ]  # fmt: skip
    return LabelTable(
        name=name or label, information_set="point_in_time", label=label, n_rows=len(truth),
        n_users=bootstrap.n_users, description=description, models=results,
        comparisons=compare(pairs, config.confidence),
    )  # fmt: skip


def averaged(seeds: Sequence[dict[str, Resampled]]) -> dict[str, Resampled]:
    """Each metric's mean over the seeds."""
    weights = [1 / len(seeds)] * len(seeds)
    return {metric: combined([drawn[metric] for drawn in seeds], weights) for metric in seeds[0]}


def _over_seeds(bootstrap: Bootstrap, rows: TestRows, p: Predicted, threshold: float) -> dict[str, Resampled]:
    """Each metric averaged over the seeds, which are kept beside."""
    found = [bootstrap.statistics(click_metrics(rows.label, s, rows.user, threshold)) for s in p.by_seed]
    weights = [1 / len(found)] * len(found)
    by_seed = {m: np.array([f[m].value for f in found]) for m in found[0]}
    return {m: replace(combined([f[m] for f in found], weights), seeds=v) for m, v in by_seed.items()}


def _result(p: Predicted, rows: TestRows, drawn: Mapping[str, Resampled], confidence: float) -> ModelResult:
    bins = [CalibrationBin(predicted=a, observed=b, n=n) for a, b, n in calibration(rows.label, p.probability)]
    metrics = {m: s.estimate(confidence) for m, s in drawn.items() if np.isfinite(s.value)}
    return ModelResult(name=p.name, kind=p.kind, label=p.label, description=p.description, seeds=len(p.by_seed),
                       settings=dict(p.settings), trials=p.trials, metrics=metrics, calibration=bins)  # fmt: skip
