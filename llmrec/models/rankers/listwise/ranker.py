"""A conditional logit over the catalogue: scalars, and products of the user's and the item's texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from llmrec.config.models import CHOSEN, ModelConfig
from llmrec.features.dataset.rows import Examples
from llmrec.features.families.columns import FeatureColumn
from llmrec.features.families.registry import families_of
from llmrec.models.attribution import add, by_family
from llmrec.models.base import Arrays, FitData, Floats, Ints, ModelContext, ModelInfo, Ranker
from llmrec.models.linear import LinearModel, fit_weights, log_likelihood, scaled_logit
from llmrec.models.rankers.listwise.lists import ListQueries, list_rows, sampled_lists
from llmrec.models.validation import click_metrics

Doubles = npt.NDArray[np.float64]
_GRID = (100.0, 30.0, 10.0)
_GRID_ALONE = (3_000.0, 1_000.0, 300.0, 100.0, 30.0)
#: The penalty where no held-out rows choose it.
_RIDGE = 100.0
#: What the products of both review profiles are called among the families.
PRODUCTS = "text_profile_products"
#: Held-out clicks that choose.
_HELD_OUT = 300


class ListwiseConfig(ModelConfig):
    name: Literal["listwise"] = "listwise"
    queries: int = Field(4000, ge=1, description="the last training clicks that it learns from, each with its list")
    candidates: int = Field(
        40, ge=2, description="of a list: half by popularity at risk and by what users had together, half drawn"
    )
    ridge: float | None = Field(None, gt=0, description="L2 penalty; unset: the held-out lists choose")
    slope: float = Field(1.0, gt=0, description="of the logit over the score", json_schema_extra=CHOSEN)
    events: float = Field(
        0.0, description="weight of the item's number of events in the logit", json_schema_extra=CHOSEN
    )
    shift: float = Field(0.0, description="of the logit", json_schema_extra=CHOSEN)


class ListwiseRanker(Ranker):
    """P(item | user, time, candidates) = softmax(weights · columns), McFadden's conditional logit (1974).

    Half of its negatives are where a ranker stands, the others stand for the rest (`sampled_lists`). Columns are the
    families of scalars and, axis by axis, the products of both review profiles: a bilinear form of low rank, learned.
    Everything that it reads is as of a row or out of fold, so that training clicks show what a request will. The
    logit of a click, against negatives drawn by popularity, is calibrated on the score and the item's events.
    """

    Config = ListwiseConfig
    INFO = ModelInfo("List-wise logit", "conditional logit over the catalogue: scalars, products of texts",
                     "features", "McFadden 1974; Cao et al., ICML 2007", output="probability")  # fmt: skip

    def __init__(self, config: Any, context: ModelContext) -> None:
        super().__init__(config, context)
        learned = context.spec.learned
        families = families_of(learned.vector_dims, learned.event_kinds)
        self._scalars = np.flatnonzero([not families[c.family].vector for c in context.dense])
        self._mine, self._theirs = _products(context.dense)
        events = [c.family == "item_popularity" and c.name == "events" for c in context.dense]
        self._events = int(np.argmax(events)) if any(events) else None

    def fit(self, rows: Examples, held_out: Examples | None, seed: int) -> dict[str, Any]:
        alone = len(np.unique(rows.query)) == len(rows)  # reviews with the label `like`: no list, no negative
        ridge = self.config.ridge or _RIDGE
        if alone:
            return self._fit_alone(rows, held_out, ridge)
        lists = self._lists(rows, self.config.queries, seed)
        if held_out is not None and self.config.ridge is None and lists.values:
            ridge = self._chosen(lists, self._lists(held_out, _HELD_OUT, seed))
        self._weights = self._fitted(lists, ridge)
        c = self.config
        scaling = (c.slope, c.events, c.shift)
        if held_out is not None:
            scaling = scaled_logit(self._read(held_out), held_out.click)
        self._scaling = np.array(scaling)
        return {"ridge": ridge, **dict(zip(("slope", "events", "shift"), scaling, strict=True))}

    def _fit_alone(self, rows: Examples, held_out: Examples | None, ridge: float) -> dict[str, Any]:
        """A logistic regression on the same columns; the held-out rows choose its penalty too."""
        columns, label = self._columns(rows), rows.click > 0
        if held_out is not None:
            asked = self._columns(held_out)
            made = {r: LinearModel.logistic(columns, label, 1 / r).probability(asked) for r in _GRID_ALONE}
            ridge = min(made, key=lambda r: click_metrics(held_out.click, made[r])["log_loss"])
        found = LinearModel.logistic(columns, label, 1 / ridge)
        self._weights = found.weights / found.scale
        self._scaling = np.array([1.0, 0.0, float(found.shift[0] - found.mean @ self._weights)])
        return {"ridge": ridge}

    def _lists(self, rows: Examples, n: int, seed: int) -> "_Lists":
        asked = ListQueries.of(rows, self.context, n)
        found = list_rows(self.context, asked, sampled_lists(self.context, asked, self.config.candidates, seed))
        return _Lists([self._columns(part) for part in found.rows], found.targets, found.offsets)

    def _chosen(self, lists: "_Lists", held_out: "_Lists") -> float:
        """The penalty with which the held-out lists are likeliest."""
        found, likelihood = self._zero(), {}
        for ridge in _GRID:  # the heaviest first, each from the one before
            found = self._fitted(lists, ridge, found)
            likelihood[ridge] = held_out.log_likelihood(found)
        return max(likelihood, key=lambda ridge: likelihood[ridge])

    def _fitted(self, lists: "_Lists", ridge: float, begin: Doubles | None = None) -> Doubles:
        zero = self._zero()
        return fit_weights(lists.values, lists.targets, zero, ridge, lists.offsets, begin) if lists.values else zero

    def _zero(self) -> Doubles:
        return np.zeros(len(self._scalars) + len(self._mine))

    def _columns(self, rows: Examples) -> Doubles:
        """(N, scalars + products)."""
        dense = rows.dense.astype(np.float64)
        return np.concatenate([dense[:, self._scalars], dense[:, self._mine] * dense[:, self._theirs]], axis=1)

    def _read(self, rows: Examples) -> Doubles:
        """(N, 2) the score, and how often the item was reviewed."""
        events = np.zeros(len(rows)) if self._events is None else rows.dense[:, self._events]
        return np.column_stack([self._columns(rows) @ self._weights, events])

    def logits(self, rows: Examples) -> Floats:
        return np.asarray(self._read(rows) @ self._scaling[:2] + self._scaling[2], np.float32)

    def attributions(self, rows: Examples) -> dict[str, Doubles]:
        """Exactly, the logit being linear in its columns."""
        slope, events, _ = self._scaling
        names = [self.context.dense[place].family for place in self._scalars] + [PRODUCTS] * len(self._mine)
        found = by_family(names, self._columns(rows) * self._weights * slope)
        return add(found, {"item_popularity": events * self._read(rows)[:, 1]}) if events else found

    def state(self) -> Arrays:
        return {"weights": self._weights, "scaling": self._scaling}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._weights, self._scaling = arrays["weights"], arrays["scaling"]


@dataclass(frozen=True)
class _Lists:
    """`ListRows` as the columns that the fit reads."""

    values: Sequence[Doubles]
    targets: Sequence[int]
    offsets: Sequence[Doubles]

    def log_likelihood(self, weights: Doubles) -> float:
        scored = zip(self.values, self.targets, self.offsets, strict=True)
        return sum(log_likelihood(v @ weights + offset, target) for v, target, offset in scored)


def _products(columns: Sequence[FeatureColumn]) -> tuple[Ints, Ints]:
    """(P,) places of the axes of the user's review profile, and of the same axes of the item's."""
    axes: dict[str, dict[str, int]] = {"text_user_profile": {}, "text_item_profile": {}}
    for place, column in enumerate(columns):
        if column.family in axes:
            axes[column.family][column.name.rpartition("_")[2]] = place
    mine, theirs = axes.values()
    both = [axis for axis in mine if axis in theirs]
    return np.array([mine[a] for a in both], np.int64), np.array([theirs[a] for a in both], np.int64)
