"""What the text is worth in each part of the queries, and whether it is worth more there than elsewhere."""

from collections.abc import Sequence

import numpy as np

from llmrec.config import EvaluationConfig
from llmrec.evaluation.data.slices import SliceMask
from llmrec.evaluation.ranking.evaluator import Measured
from llmrec.evaluation.records.estimates import Comparison
from llmrec.evaluation.records.tables import Slice
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Resampled, combined
from llmrec.evaluation.statistics.comparisons import Pair
from llmrec.variants import NO_TEXT, TEXT, WITH_AND_WITHOUT

#: Users and items that a part, and the rest, must have each: where nearly all differences are zero, as they are for a
#: metric that most queries miss, fewer can agree by chance and look certain.
LEAST_CLUSTERS = 30


def figure(bootstrap: Bootstrap, m: Measured, metric: str, part: SliceMask | None = None) -> Resampled:
    """A model's mean, over the queries of a slice perhaps."""
    mask = None if part is None else part.mask
    seeds = [float(np.nanmean(v if mask is None else v[mask])) for v in m.by_seed(metric)] if m.n_seeds > 1 else []
    return bootstrap.mean(m.values[metric], mask, seeds, part is not None and part.fixed_items)


def text_pairs(
    bootstrap: Bootstrap, measured: Sequence[Measured], metric: str, part: SliceMask | None = None
) -> list[Pair]:
    """`text` against `no_text`, where the table has both."""
    found = {m.answer.name: m for m in measured if m.answer.name in WITH_AND_WITHOUT and metric in m.values}
    if len(found) < 2:
        return []
    a, b = (figure(bootstrap, found[name], metric, part) for name in WITH_AND_WITHOUT)
    return [Pair(TEXT, NO_TEXT, metric, a, b)]


def interactions(
    bootstrap: Bootstrap, measured: Sequence[Measured], metric: str, masks: Sequence[SliceMask]
) -> list[Pair | None]:
    """For each slice, the worth of text in it against that in the rest of the queries; None where either is small.

    A difference of differences in the same clusters, so that a user or item on both sides is counted once.
    """
    found: list[Pair | None] = []
    for part in masks:
        rest = SliceMask(part.by, part.level, ~part.mask, part.fixed_rest)
        pairs = [p for side in (part, rest) if side.mask.any() for p in text_pairs(bootstrap, measured, metric, side)]
        if len(pairs) == 2 and all(p.a.clusters >= LEAST_CLUSTERS for p in pairs):
            inside, outside = (combined([p.a, p.b], [1, -1]) for p in pairs)
            found.append(Pair(TEXT, NO_TEXT, metric, inside, outside, relative=False))
        else:
            found.append(None)
    return found


def slice_records(
    bootstrap: Bootstrap, measured: Sequence[Measured], masks: Sequence[SliceMask],
    judged: Sequence[tuple[Comparison | None, Comparison | None]], config: EvaluationConfig,
) -> list[Slice]:  # fmt: skip
    """Each model's primary metric, and its recall at the last cut-off, in each slice.

    `judged`: of each slice, `text` against `no_text` in it, and the interaction.
    """
    names = (config.primary_metric, f"recall@{config.cutoffs[-1]}")
    found = []
    for part, (here, more) in zip(masks, judged, strict=True):
        models = {
            m.answer.name: {n: figure(bootstrap, m, n, part).estimate(config.confidence) for n in names}
            for m in measured
        }
        comparisons = [here] if here else []
        n = int(part.mask.sum())
        found.append(Slice(by=part.by, level=part.level, n=n, models=models, comparisons=comparisons, interaction=more))
    return found
