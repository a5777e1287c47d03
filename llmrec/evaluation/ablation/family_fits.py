"""One fit of the study: the click model on some of the columns, measured on the test rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.evaluation.ablation.family_rows import StudyRows
from llmrec.evaluation.labels.metrics import Bools, auc, click_loss
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Resampled, WeightedMetrics
from llmrec.features.asof.interactions import Floats, Ints
from llmrec.tasks import parallel_map
from llmrec.threads import one_thread

MODEL = "boosted trees on the same columns"
METRICS = ("auc", "log_loss")
_TREES = 150


@dataclass(frozen=True)
class FamilyFit:
    """What some columns give: each of METRICS on the test rows, and AUC on the validation rows for choices."""

    test: Mapping[str, Resampled]
    validation_auc: float


def click_model(seed: int) -> Any:
    """Unfitted trees (Friedman 2001; by scikit-learn), which a held-out part must stop.

    Trees, because they find products of a user's and an item's columns without being told; few and shallow, and a
    quarter of the columns a split, because the study fits dozens.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # a second, which only this study needs

    return HistGradientBoostingClassifier(
        learning_rate=0.2, max_iter=_TREES, max_leaf_nodes=8, min_samples_leaf=40, l2_regularization=5.0, max_bins=63,
        max_features=0.25, early_stopping=True, n_iter_no_change=10, random_state=seed,
    )  # fmt: skip


def probabilities(rows: StudyRows, columns: Ints, seed: int) -> tuple[Floats, Floats]:
    """Of the validation and the test rows, from trees fitted on `rows.fit`, as many as the validation rows want."""
    fit, held, test = (part.values[:, columns] for part in (rows.fit, rows.validation, rows.test))
    if not len(columns):  # nothing is known: everybody's rate
        rate = float(rows.fit.click.mean())
        return np.full(len(held), rate), np.full(len(test), rate)
    with one_thread("openmp"):  # fits run side by side: a thread pool under each slows them down
        model = click_model(seed).fit(fit, rows.fit.click, X_val=held, y_val=rows.validation.click)
        return model.predict_proba(held)[:, 1], model.predict_proba(test)[:, 1]


def measure(rows: StudyRows, bootstrap: Bootstrap, seed: int, columns: Ints) -> FamilyFit:
    """Fit on the columns and measure."""
    held, test = probabilities(rows, columns, seed)
    return FamilyFit(bootstrap.statistics(_metrics(rows.test.click, test)), float(auc(rows.validation.click, held)[0]))


def _metrics(label: Bools, probability: Floats) -> WeightedMetrics:
    loss = click_loss(label, probability)

    def at(weight: Floats) -> dict[str, Floats]:
        return {"auc": auc(label, probability, weight), "log_loss": weight @ loss / weight.sum(axis=1)}

    return at


class FamilyFits:
    """The fits of one study, each set of columns fitted once; over a Ray cluster where one is connected."""

    def __init__(self, rows: StudyRows, bootstrap: Bootstrap, seed: int, progress: Callable[[str], None]) -> None:
        self._common, self._progress = (rows, bootstrap, seed), progress
        self._found: dict[bytes, FamilyFit] = {}

    def __call__(self, what: str, wanted: Mapping[str, npt.NDArray[np.int64]]) -> dict[str, FamilyFit]:
        """The fits on named sets of columns, ascending positions; `what` names them in the log."""
        new = {c.tobytes(): c for c in wanted.values() if c.tobytes() not in self._found}

        def done(n: int) -> None:
            if n % 5 == 0 or n == len(new):
                self._progress(f"feature families: {what}, {n} of {len(new)} fits")

        fits = parallel_map(measure, [(c,) for c in new.values()], common=self._common, done=done, stage="evaluate")
        self._found |= dict(zip(new, fits, strict=True))
        return {name: self._found[c.tobytes()] for name, c in wanted.items()}
