"""An ensemble: several rankers, or one by several seeds, their logits weighed on rows that none learned from."""

from collections.abc import Iterator
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, SerializeAsAny, field_validator, model_validator

from llmrec.config.models import CHOSEN, ModelConfig, clicks_alone, model_configs
from llmrec.features.dataset.rows import Examples
from llmrec.models.attribution import Doubles
from llmrec.models.base import Arrays, FitData, Floats, ModelContext, ModelInfo, Ranker
from llmrec.models.files.store import make_model
from llmrec.models.linear import LinearModel

#: Inverse of the penalty on the weights of a handful of members: next to none.
_C = 10.0


class EnsembleConfig(ModelConfig):
    name: Literal["ensemble"] = "ensemble"
    members: tuple[SerializeAsAny[ModelConfig], ...] = Field(
        default_factory=lambda: model_configs("ranker", ["listwise", "lambdarank"]), min_length=1,
        description="rankers: names, or name: settings",
    )  # fmt: skip
    seeds: int = Field(1, ge=1, description="fits of each member, whose logits are averaged")
    weights: list[float] | None = Field(None, description="of the members' logits", json_schema_extra=CHOSEN)
    shift: float = Field(0.0, description="of the sum", json_schema_extra=CHOSEN)
    chosen: list[list[dict[str, Any]]] = Field(
        default_factory=list,
        description="settings that the held-out rows chose, of each member's fits",
        json_schema_extra=CHOSEN,
    )

    @field_validator("members", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        members = model_configs("ranker", value)
        if cls.model_fields["name"].default in (member.name for member in members):
            raise ValueError("rankers that are no ensembles themselves")
        clicks_alone(members)
        return members

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        n = len(self.members)
        if self.weights is not None and len(self.weights) != n:
            raise ValueError(f"weights: one of each of the {n} members, found {len(self.weights)}")
        if self.chosen and [len(fits) for fits in self.chosen] != [self.seeds] * n:
            raise ValueError(f"chosen: settings of {self.seeds} fits of each of the {n} members")
        return self


class EnsembleRanker(Ranker):
    """logit = shift + Σ weight · mean over seeds of a member's logit: stacking. What explains it adds up likewise."""

    Config = EnsembleConfig
    INFO = ModelInfo("Ensemble", "rankers, or seeds of one, weighed on held-out clicks", "features",
                     "Wolpert, Neural Networks 1992", output="probability")  # fmt: skip

    def __init__(self, config: Any, context: ModelContext) -> None:
        super().__init__(config, context)
        chosen = config.chosen or [[{}] * config.seeds] * len(config.members)
        self.members: list[list[Ranker]] = [
            [make_model("ranker", member.model_copy(update=update), context) for update in updates]
            for member, updates in zip(config.members, chosen, strict=True)
        ]
        self._weights = np.array(config.weights or [1 / len(self.members)] * len(self.members))
        self._shift = float(config.shift)

    @classmethod
    def parts(cls, config: Any) -> tuple[ModelConfig, ...]:
        return tuple(config.members)

    def reads_columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c for fits in self.members for c in fits[0].reads_columns()))

    def fit(self, rows: Examples, held_out: Examples | None, seed: int) -> dict[str, Any]:
        chosen = [[fit.fit(rows, held_out, seed + n) for n, fit in enumerate(fits)] for fits in self.members]
        if held_out is None or not len(held_out):
            return {}
        stacked = LinearModel.logistic(self._columns(held_out), held_out.click > 0, _C)
        self._weights = stacked.weights / stacked.scale
        self._shift = float(stacked.shift[0] - stacked.mean @ self._weights)
        found = {"weights": self._weights.tolist(), "shift": self._shift, "chosen": chosen}
        self.config = self.config.model_copy(update=found)
        return found

    def _columns(self, rows: Examples) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(N, members)"""
        means = [np.mean([fit.logits(rows) for fit in fits], axis=0) for fits in self.members]
        return np.stack(means, axis=1).astype(np.float64)

    def logits(self, rows: Examples) -> Floats:
        return np.asarray(self._columns(rows) @ self._weights + self._shift, np.float32)

    def attributions(self, rows: Examples) -> dict[str, Doubles]:
        found: dict[str, Doubles] = {}
        for weight, fits in zip(self._weights / self.config.seeds, self.members, strict=True):
            for fit in fits:
                for family, values in fit.attributions(rows).items():
                    found[family] = found.get(family, np.zeros(len(rows))) + weight * values
        return found

    def _named(self) -> Iterator[tuple[str, Ranker]]:
        for member, fits in zip(self.config.members, self.members, strict=True):
            yield from ((f"{member.name}.{n}.", fit) for n, fit in enumerate(fits))

    def state(self) -> Arrays:
        found: Arrays = {"weights": self._weights, "shift": np.array([self._shift])}
        return found | {prefix + name: array for prefix, fit in self._named() for name, array in fit.state().items()}

    def restore(self, arrays: Arrays, data: FitData) -> None:
        self._weights, self._shift = np.asarray(arrays["weights"]), float(arrays["shift"][0])
        for prefix, fit in self._named():
            own = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            fit.restore(own, data)
