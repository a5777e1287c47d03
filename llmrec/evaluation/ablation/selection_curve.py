"""Quality against dimensions kept: the columns that `features.selection` would keep under each budget."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.config.features import SelectionConfig
from llmrec.evaluation.ablation.family_fits import FamilyFit, FamilyFits
from llmrec.evaluation.ablation.family_rows import SplitRows, StudyRows
from llmrec.evaluation.records.estimates import Point
from llmrec.evaluation.records.families import SelectionCurve
from llmrec.features.asof.interactions import Ints
from llmrec.features.transforms.selection import Ranking, rank, select

BUDGETS = (4, 8, 16, 32, 64, 128)
#: Ranked by where the run itself selects nothing: one method that reads columns one by one, one that reads them all.
METHODS = ("f_score", "gradient_boosting")


@dataclass(frozen=True)
class Selected:
    """`fits`: method -> number of columns kept -> fit; `kept`: family -> columns that `method` keeps in `budget`."""

    fits: Mapping[str, Mapping[int, FamilyFit]]
    method: str
    budget: int
    kept: dict[str, list[str]]

    def curves(self, metric: str, full: FamilyFit, n_columns: int, confidence: float) -> list[SelectionCurve]:
        """One a method; each ends with all columns."""
        found = []
        for method, kept in self.fits.items():
            points = [_point(n, fit, metric, confidence) for n, fit in (*kept.items(), (n_columns, full))]
            found.append(SelectionCurve(method=method, points=points))
        return found


def _point(n: int, fit: FamilyFit, metric: str, confidence: float) -> Point:
    found = fit.test[metric].estimate(confidence)
    return Point(x=n, y=found.value, low=found.low, high=found.high)


def select_by_budget(rows: StudyRows, config: SelectionConfig, fits: FamilyFits) -> Selected:
    """Rank the columns on `rows.fit` by the run's method (METHODS where it has none), and measure each budget.

    Where two methods were tried, the columns shown as kept are those of the better one on the validation rows.
    """
    methods = METHODS if config.method == "none" else (config.method,)
    n_columns, some = len(rows.columns), _evenly(rows.fit, config.rows)
    within = min(config.budget, n_columns)
    budgets = sorted({*(b for b in BUDGETS if b < n_columns), within})
    found, validated, rankings = dict[str, dict[int, FamilyFit]](), dict[str, float](), dict[str, Ranking]()
    for method in methods:
        rankings[method] = rank(*some, config.model_copy(update={"method": method}))
        kept = {str(b): _best(rows, rankings[method], config, b) for b in budgets}
        measured = fits(f"selection by {method}", kept)
        found[method] = {len(kept[b]): measured[b] for b in kept if len(kept[b]) < n_columns}
        validated[method] = measured[str(within)].validation_auc
    best = max(methods, key=validated.__getitem__)
    return Selected(found, best, config.budget, _by_family(rows, select(rows.columns, rankings[best], config)))


def _best(rows: StudyRows, ranking: Ranking, config: SelectionConfig, budget: int) -> Ints:
    """The single columns within a budget: the curve is by dimension, whatever the run keeps."""
    return select(rows.columns, ranking, config.model_copy(update={"by": "dimension", "budget": budget}))


def _evenly(part: SplitRows, n: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]]:
    """At most n rows, evenly over time."""
    rows = np.unique(np.linspace(0, len(part.click) - 1, min(n, len(part.click))).astype(np.int64))
    return part.values[rows], part.click[rows].astype(np.int8)


def _by_family(rows: StudyRows, places: Ints) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for p in places:
        found.setdefault(rows.columns[p].family, []).append(rows.columns[p].name)
    return found
