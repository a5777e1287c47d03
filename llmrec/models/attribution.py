"""What each feature family adds to a ranker's logit, relative to a list's mean row."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from llmrec.features.dataset.rows import Examples
from llmrec.features.families.columns import FeatureColumn

Doubles = npt.NDArray[np.float64]
Logits = Callable[[Examples], npt.NDArray[np.floating]]
#: Of a model of which nothing is known, and of a network: what ids say beside the families.
IDS = "ids"
_ORDERS, _SEED = 8, 7


def by_family(families: Iterable[str], values: npt.NDArray[np.floating]) -> dict[str, Doubles]:
    """Family -> (N,) sum of its columns; `values` (N, D), `families` one a column."""
    found: dict[str, Doubles] = {}
    for place, family in enumerate(families):
        found[family] = found.get(family, 0) + np.asarray(values[:, place], np.float64)
    return found


def add(parts: dict[str, Doubles], more: Mapping[str, Doubles]) -> dict[str, Doubles]:
    """Both, summed where both have a name."""
    return parts | {name: parts.get(name, 0) + values for name, values in more.items()}


def shapley(logits: Logits, rows: Examples, columns: Sequence[FeatureColumn]) -> dict[str, Doubles]:
    """Shapley values of the families over sampled orders (Castro et al., Computers & OR 2009), for any model.

    A family that is absent has the rows' mean. Each order and its reverse are walked (Mitchell et al., JMLR 2022); an
    order's steps add up to the logit exactly. What ids say, the families all being absent, is IDS.
    """
    families = list(dict.fromkeys(c.family for c in columns))
    places = {f: np.flatnonzero([c.family == f for c in columns]) for f in families}
    dense = rows.dense
    mean = np.broadcast_to(dense.mean(axis=0, dtype=np.float64).astype(np.float32), dense.shape)
    begin = np.asarray(logits(with_dense(rows, mean)), np.float64)
    found, draw = {f: np.zeros(len(rows)) for f in families}, np.random.default_rng(_SEED)
    orders = [order for _ in range(_ORDERS // 2) for order in _both_ways(draw.permutation(len(families)))]
    for order in orders:
        present, before = np.array(mean), begin
        for family in (families[n] for n in order):
            present[:, places[family]] = dense[:, places[family]]
            after = np.asarray(logits(with_dense(rows, present)), np.float64)
            found[family] += (after - before) / len(orders)
            before = after
    return found | {IDS: begin}


def _both_ways(order: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    return [order, order[::-1]]


def with_dense(rows: Examples, dense: npt.NDArray[np.float32]) -> Examples:
    """The rows with other dense features (N, Du + Di + Dp)."""
    cuts = np.cumsum([rows.user.shape[1], rows.item.shape[1]])
    user, item, pair = np.split(dense, cuts, axis=1)
    return replace(rows, user=user, item=item, pair=pair)
