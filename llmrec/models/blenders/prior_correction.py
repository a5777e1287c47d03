"""The ranker's logit with the popularity of the negatives put back, and nothing else.

The ranker is fitted on clicks against negatives drawn by popularity, q(i | t). Its logit therefore tends to
log p(i | u, t) - log q(i | t) + constant: popularity is divided out of it. Ordering all candidates by the logit would
rank as if every item were equally popular. The remedy is the prior correction of case-control sampling (King & Zeng,
"Logistic regression in rare events data", 2001, section 4.1; for sampled negatives Bengio & Senécal, 2008): add
log q(i | t) back.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from llmrec.config.models import ModelConfig
from llmrec.features.asof.state import Counted
from llmrec.features.families.behaviour import rate_names, rates
from llmrec.models.base import Arrays, Blender, FitData, Floats, ModelInfo

#: The columns beside retrieval scores and the windows' popularity. Negatives are drawn by count + 1: SMOOTHING.
LOGIT, POPULARITY = "click_logit", "log_popularity"
SMOOTHING = 1.0


def popularity_columns(days: Sequence[float]) -> tuple[str, ...]:
    """Names of `popularity`'s columns: all events, the decayed windows, the windows by time at risk."""
    return (POPULARITY, *(f"{POPULARITY}_{d:g}d" for d in days), *rate_names(days))


def popularity(items: Counted, days: Sequence[float]) -> npt.NDArray[np.float64]:
    """(I, 1 + 2 n_windows): log of the smoothed count and of the decayed counts, log rates; as of each row's time."""
    counts = np.log(np.column_stack([items.count, items.decayed]) + SMOOTHING)
    return np.column_stack([counts, rates(items, days)])


class BlenderConfig(ModelConfig):
    guard: bool = Field(
        True,
        description="less of the blend, or none, where validation does not rule out that it loses more than 5 % to the "
        "best popularity or retriever alone",
    )


class PriorCorrectionConfig(BlenderConfig):
    name: Literal["prior_correction"] = "prior_correction"


class PriorCorrection(Blender):
    """What theory says before any query is seen."""

    Config: ClassVar[Any] = PriorCorrectionConfig
    INFO = ModelInfo("Prior correction", "click logit + log popularity", "features", "King & Zeng 2001, section 4.1")

    def fit(self, columns: Sequence[str], values: Sequence[npt.NDArray[np.float64]], targets: Sequence[int]) -> None:
        self._columns = tuple(columns)
        self._weights = np.array([float(c in (LOGIT, POPULARITY)) for c in columns])

    def score(self, values: npt.NDArray[np.float64]) -> Floats:
        return np.asarray(values @ self._weights, np.float32)

    def lean(self, term: str, share: float) -> None:
        alone = np.array([float(c == term) for c in self._columns])
        self._weights = (1 - share) * alone + share * self._weights

    @property
    def weights(self) -> Mapping[str, float]:
        return dict(zip(self._columns, map(float, self._weights), strict=True))

    def state(self) -> Arrays:
        names = "\n".join(self._columns).encode()
        return {"weights": self._weights, "columns": np.frombuffer(names, np.uint8)}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._weights = arrays["weights"]
        self._columns = tuple(arrays["columns"].tobytes().decode().split("\n"))
