"""The report's tables of family weights: what learned fusions let in, tower by tower, variants side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from llmrec.evaluation.records.families import FamilyWeight, FusionWeights
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.report.format import count, percent
from llmrec.variants import VARIANT_LABELS

#: What a weight of each fusion is.
FUSIONS = {
    "weighted_sum": "A weighted sum: one weight a family, learned in training and the same for every example. It "
    "multiplies the family's projection.",
    "gated": "Gated: each example opens gates anew, from all families together, one for every number of a family's "
    "projection. A family's weight is its mean gate as a share of all families'.",
    "attention": "Attention: each example weighs the families anew, from their projections. The weight multiplies the "
    "family's projection.",
}  # fmt: skip


#: A mean, and the middle 90 % (nothing where every example has the same weight).
WeightCell = tuple[str, str]


@dataclass(frozen=True)
class TowerWeights:
    """One tower: a row a family, a cell a variant, None where it lacks the family; what equal shares would be."""

    title: str
    rows: list[tuple[str, list[WeightCell | None]]]
    equal: list[str]


@dataclass(frozen=True)
class WeightsView:
    variants: list[str]
    fusions: list[str]
    n_clicks: str
    differ: bool  # between examples
    towers: list[TowerWeights]


def weights_view(results: Results) -> WeightsView | None:
    """How learned fusions weigh the families, variants side by side."""
    found = results.family_weights
    if not found:
        return None
    fusions = dict.fromkeys(f.fusion for f in found)
    clicks = " and ".join(dict.fromkeys(count(f.n_clicks) for f in found))
    towers = [_tower_weights(found, side) for side in ("user", "item")]
    variants = [VARIANT_LABELS.get(f.variant, f.variant) for f in found]
    differ = any(f != "weighted_sum" for f in fusions)
    return WeightsView(variants, [_meaning(found, f) for f in fusions], clicks, differ, [t for t in towers if t.rows])


def _meaning(found: Sequence[FusionWeights], fusion: str) -> str:
    """What the weights of a fusion are; where the variants differ in it, of which."""
    own = [VARIANT_LABELS.get(f.variant, f.variant) for f in found if f.fusion == fusion]
    return FUSIONS[fusion] if len(own) == len(found) else f"{FUSIONS[fusion]} ({', '.join(own)})"


def _tower_weights(found: Sequence[FusionWeights], side: str) -> TowerWeights:
    """Families in the order of their weight in the first variant that has them."""
    by_variant = [{w.family: w for w in f.families if w.side == side} for f in found]
    first = {w.family: w for weights in reversed(by_variant) for w in weights.values()}
    order = sorted(first, key=lambda family: -first[family].mean)
    rows = [
        (family, [_weight_cell(f, weights.get(family)) for f, weights in zip(found, by_variant, strict=True)])
        for family in order
    ]
    return TowerWeights(f"{side.capitalize()} tower", rows, [percent(1 / len(w)) if w else "" for w in by_variant])


def _weight_cell(weights: FusionWeights, found: FamilyWeight | None) -> WeightCell | None:
    if found is None:
        return None
    same = weights.fusion == "weighted_sum"
    return percent(found.mean), ("" if same else f"{percent(found.q05)} to {percent(found.q95)}")
