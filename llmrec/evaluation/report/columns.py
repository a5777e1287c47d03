"""Which metrics a table shows, in which order, and whose reading is the best."""

from dataclasses import dataclass

from llmrec.evaluation.records.estimates import goodness, lower_is_better
from llmrec.evaluation.records.tables import ResultTable
from llmrec.evaluation.report.glossary import metric_title
from llmrec.models.metrics import BEYOND_ACCURACY

_READING_ORDER = ("ndcg", "recall", "mrr", "map", "hit_rate", "recall_min", "precision")


@dataclass(frozen=True)
class MetricColumn:
    metric: str
    title: str
    lower: bool
    best: str | None  # name of the model with the best reading
    same: tuple[str, ...] = ()  # titles of metrics that read alike for every model

    @property
    def descriptive(self) -> bool:
        """Whether it describes lists rather than judges them: no reading is "the best"."""
        return self.metric.split("@")[0] in BEYOND_ACCURACY


def columns(table: ResultTable, primary: str = "") -> list[MetricColumn]:
    """Every metric of the table, the primary one first; metrics that read alike (one relevant item a query makes
    recall the hit rate) share a column."""
    alike: dict[tuple[float | None, ...], list[str]] = {}
    metrics = dict.fromkeys(k for m in table.models for k in m.metrics)
    for metric in sorted(metrics, key=lambda m: (m != primary, _reading_order(m))):
        readings = tuple(m.metrics[metric].value if metric in m.metrics else None for m in table.models)
        merge = len(readings) > 1 and _reading_rank(metric) is not None
        alike.setdefault(readings if merge else (*readings, float(len(alike))), []).append(metric)
    return [
        MetricColumn(m, metric_title(m), lower_is_better(m), _best(table, m), tuple(metric_title(o) for o in others))
        for m, *others in alike.values()
    ]


def _reading_rank(metric: str) -> int | None:
    name, at, _ = metric.partition("@")  # without a cut-off it is the recall of labels, and keeps its place
    return _READING_ORDER.index(name) if at and name in _READING_ORDER else None


def _reading_order(metric: str) -> tuple[bool, int, int]:
    """By cut-off and name; what describes lists comes last."""
    name, _, k = metric.partition("@")
    rank = _reading_rank(metric)
    return name in BEYOND_ACCURACY, int(k) if k.isdigit() else 0, len(_READING_ORDER) if rank is None else rank


def _best(table: ResultTable, metric: str) -> str | None:
    have = [m for m in table.models if metric in m.metrics]
    if len(have) < 2 or metric.split("@")[0] in BEYOND_ACCURACY:
        return None
    return max(have, key=lambda m: goodness(metric, m.metrics[metric].value)).name


def primary_of(table: ResultTable, primary: str) -> str | None:
    """The run's primary metric, else the first that the table has."""
    return next((c.metric for c in columns(table, primary)), None)
