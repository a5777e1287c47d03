"""The `click` label: every model scores the same test rows of `examples`; and tables of probabilities as such."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data.interactions import Floats, Interactions, Ints
from llmrec.evaluation.labels.metrics import calibration, click_metrics
from llmrec.evaluation.ranking.our_models import Variant
from llmrec.evaluation.records.tables import CalibrationBin, LabelTable, ModelKind, ModelResult
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Resampled, mean_over_seeds
from llmrec.evaluation.statistics.comparisons import Pair, compare
from llmrec.schema import Column as C
from llmrec.storage import Artifact
from llmrec.variants import VARIANT_LABELS

PRIMARY = "auc"
#: Of a table's rows: each click, then its negatives.
ORDER = [(C.QUERY_ID, "ascending"), (C.CLICK, "descending"), (C.ITEM_ID, "ascending")]


@dataclass(frozen=True)
class ClickRows:
    """The test rows: dense rows of `Interactions`, times and labels, all (n,)."""

    user: Ints
    item: Ints
    time: Ints
    label: npt.NDArray[np.bool_]

    @classmethod
    def read(cls, examples: Artifact, data: Interactions, split: str = "test") -> "ClickRows":
        """From an `examples` artifact, in ORDER; of the split `train` only what a model may learn from: candidates."""
        columns = [C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.CLICK, C.QUERY_ID]
        condition = pc.field(C.SPLIT) == split
        condition = condition & pc.field(C.CANDIDATE) if split == "train" else condition
        table = examples.dataset("examples").to_table(columns=columns, filter=condition).sort_by(ORDER)
        user, item = (
            _rows(ids, table[c].to_pylist()) for ids, c in ((data.user_ids, C.USER_ID), (data.item_ids, C.ITEM_ID))
        )
        return cls(user, item, table[C.TIMESTAMP].to_numpy(), table[C.CLICK].to_numpy() > 0)

    def __len__(self) -> int:
        return len(self.label)

    def take(self, index: npt.NDArray[Any]) -> "ClickRows":
        return ClickRows(self.user[index], self.item[index], self.time[index], self.label[index])


def _rows(ids: Sequence[str], wanted: Sequence[str]) -> Ints:
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


def our_predictions(variants: Iterable[Variant], rows: ClickRows) -> list[Predicted]:
    """The click model of each variant; `variants`: the seeds of a variant one after the other."""
    found = []
    for name, seeds in groupby(variants, lambda a: a.name):
        by_seed = [a.click_probability(rows.user, rows.item, rows.time) for a in seeds]
        label = f"Ranker, {VARIANT_LABELS.get(name, name)}"
        found.append(Predicted(name, "ours", label, "CTR model on the click label", by_seed))
    return found


def click_table(
    rows: ClickRows, predicted: Sequence[Predicted], config: EvaluationConfig, seed: int, negatives: int
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
    label: Literal["click", "like"], rows: ClickRows, predicted: Sequence[Predicted],
    compared: Sequence[tuple[str, str]], description: str, config: EvaluationConfig, seed: int,
) -> LabelTable:  # fmt: skip
    """AUC to ECE with intervals; the pairs (model, against) in `compared` on AUC and log loss, as one family."""
    bootstrap = Bootstrap(rows.user, config.bootstrap, seed)
    drawn = {p.name: _over_seeds(bootstrap, rows, p, config.threshold) for p in predicted}
    pairs = [
        Pair(a, b, metric, drawn[a][metric], drawn[b][metric]) for a, b in compared for metric in (PRIMARY, "log_loss")
    ]
    return LabelTable(
        name=label, information_set="point_in_time", label=label, n_rows=len(rows.label), description=description,
        n_users=len(np.unique(rows.user)), positive_share=float(rows.label.mean()), threshold=config.threshold,
        models=[_result(p, rows, drawn[p.name], config.confidence) for p in predicted],
        comparisons=compare(pairs, config.confidence),
    )  # fmt: skip


def _over_seeds(bootstrap: Bootstrap, rows: ClickRows, p: Predicted, threshold: float) -> dict[str, Resampled]:
    """Each metric averaged over the seeds, in the estimate and in every resample."""
    found = [bootstrap.statistics(click_metrics(rows.label, s, rows.user, threshold)) for s in p.by_seed]
    return {
        m: Resampled(float(np.mean([f[m].value for f in found])), mean_over_seeds([f[m].draws for f in found]), v.n)
        for m, v in found[0].items()
    }


def _result(p: Predicted, rows: ClickRows, drawn: Mapping[str, Resampled], confidence: float) -> ModelResult:
    bins = [CalibrationBin(predicted=a, observed=b, n=n) for a, b, n in calibration(rows.label, p.probability)]
    metrics = {m: s.estimate(confidence) for m, s in drawn.items() if np.isfinite(s.value)}
    return ModelResult(name=p.name, kind=p.kind, label=p.label, description=p.description, seeds=len(p.by_seed),
                       settings=dict(p.settings), trials=p.trials, metrics=metrics, calibration=bins)  # fmt: skip
