"""Normalisation fitted on training rows: scalars one by one, vectors as one block each."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from llmrec.features.arrays import Bools, Floats, Floats32

Method = Literal["standard", "power", "quantile", "none"]
#: Scaled values beyond this many deviations are cut: a training row is seldom there, a served row may be anywhere.
CLIP = 8.0
_QUANTILES = np.linspace(0, 1, 101)
_EDGE = 1e-3  # a quantile of 0 or 1 would lie infinitely far out


def _no_floats() -> Floats:
    return np.zeros((0, 0))


@dataclass(frozen=True)
class Scaler:
    """Reshape, then (x - centre) / scale, for k columns. `block` numbers columns of one vector alike; scalars have -1.

    Vectors come as directions (length one); they are centred and share one scale, which keeps their proportions.
    """

    centre: Floats32  # (k,)
    scale: Floats32  # (k,)
    block: npt.NDArray[np.int64]  # (k,)
    exponents: Floats = field(default_factory=_no_floats)  # power: (1, scalars) of the Yeo-Johnson transform
    quantiles: Floats = field(default_factory=_no_floats)  # quantile: (101, scalars) of the training rows

    @classmethod
    def fit(
        cls, values: npt.NDArray[np.floating], block: npt.NDArray[np.int64], method: Method = "standard"
    ) -> "Scaler":
        """From (n, k) training rows."""
        wide: Floats = values.astype(np.float64)
        centre, scale = np.zeros(len(block), np.float32), np.ones(len(block), np.float32)
        shape = _shape(wide[:, block < 0], method)
        shaped = cls(centre, scale, block, **shape)._reshaped(wide)
        for columns in _groups(block):
            part = shaped[:, columns]
            rows = part[part.any(axis=1)] if block[columns[0]] >= 0 else part
            if len(rows) and method != "none":
                centre[columns] = rows.mean(axis=0)
                scale[columns] = np.sqrt(rows.var(axis=0).mean())
        flat = scale < 1e-9  # a constant column says nothing: it becomes zero
        return cls(centre, np.where(flat, np.inf, scale).astype(np.float32), block, **shape)

    def __call__(self, values: npt.NDArray[np.floating]) -> Floats32:
        """(n, k) -> (n, k) float32; an absent (all-zero) vector stays zero, which is where the mean lies."""
        scaled = (self._reshaped(values) - self.centre) / self.scale
        np.clip(scaled, -CLIP, CLIP, out=scaled)
        for span in self._vectors:
            absent: Bools = ~np.any(values[:, span], axis=1)
            scaled[absent, span] = 0
        return scaled.astype(np.float32)

    def take(self, columns: npt.NDArray[np.int64]) -> "Scaler":
        """Of these columns alone: ascending, and of a vector all or none."""
        scalars = np.isin(np.flatnonzero(self.block < 0), columns)
        shape = {name: getattr(self, name) for name in ("exponents", "quantiles")}
        kept = {name: found[:, scalars] if found.size else found for name, found in shape.items()}
        return replace(self, centre=self.centre[columns], scale=self.scale[columns], block=self.block[columns], **kept)

    @cached_property
    def _vectors(self) -> list[slice]:
        """Where each vector's columns lie."""
        groups = (columns for columns in _groups(self.block) if self.block[columns[0]] >= 0)
        return [slice(int(columns[0]), int(columns[-1]) + 1) for columns in groups]

    def _reshaped(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Scalars through the power or the quantile transform, vectors as they are."""
        if not self.exponents.size and not self.quantiles.size:
            return values
        shaped, scalars = values.astype(np.float64), self.block < 0
        if self.exponents.size:
            shaped[:, scalars] = yeo_johnson(shaped[:, scalars], self.exponents[0])
            return shaped
        for column, knots in zip(np.flatnonzero(scalars), self.quantiles.T, strict=True):
            shaped[:, column] = to_normal(shaped[:, column], knots)
        return shaped


def yeo_johnson(values: Floats, exponents: Floats) -> Floats:
    """(n, k) with exponents (k,); Yeo & Johnson, Biometrika 2000, equation 2.1."""
    positive = values >= 0
    magnitude = np.log1p(np.abs(values))
    power = np.where(positive, exponents, 2 - exponents)
    straight = np.abs(power) < 1e-9
    bent = np.where(straight, magnitude, np.expm1(magnitude * power) / np.where(straight, 1, power))
    return np.where(positive, bent, -bent)


def to_normal(values: Floats, knots: Floats) -> Floats:
    """(n,) to normal scores by the ascending quantiles `knots` (101,); ties lie in the middle of their range."""
    upper = np.interp(values, knots, _QUANTILES)
    lower = 1 - np.interp(-values, -knots[::-1], _QUANTILES)
    scores: Floats = ndtri(np.clip((upper + lower) / 2, _EDGE, 1 - _EDGE))
    return scores


def _shape(scalars: Floats, method: Method) -> dict[str, Floats]:
    """What the transform of the scalars has to remember."""
    if not scalars.size or method in ("standard", "none"):
        return {}
    if method == "quantile":
        return {"quantiles": np.quantile(scalars, _QUANTILES, axis=0)}
    exponents, varying = np.ones(scalars.shape[1]), scalars.std(axis=0) > 1e-9
    if varying.any():
        from sklearn.preprocessing import PowerTransformer  # takes seconds, which every worker process would pay

        exponents[varying] = PowerTransformer(standardize=False).fit(scalars[:, varying]).lambdas_
    return {"exponents": exponents[None]}


def _groups(block: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Scalars in one group each, the columns of a vector together."""
    scalars = [np.array([k]) for k in np.flatnonzero(block < 0)]
    return [*scalars, *(np.flatnonzero(block == b) for b in np.unique(block[block >= 0]))]
