"""How much it takes to see a difference that matters (Cohen, 1988, chapter 2: two-sided, 80 % power)."""

import math

from llmrec.evaluation.records.estimates import Comparison
from llmrec.evaluation.records.results import Effort

#: The share of the variance that may be left to training noise.
_SEED_SHARE = 0.1
#: Seeds where one fit says nothing of training noise.
_SEEDS = 3


def effort(comparison: Comparison, base: float | None, detect: float, n_queries: int, n_seeds: int) -> Effort | None:
    """Queries, origins like this one, and seeds with which a difference of `detect` · `base` is found.

    Variance falls with the number of queries, as long as users and items grow with them. None where the run has no
    standard error or no base to take a share of.
    """
    least, se = comparison.smallest_detectable, comparison.difference.se
    if not least or not se or not base or base <= 0:
        return None
    wanted = (detect * base * se / least) ** 2  # the variance at which detect · base has the power
    by_seed = (comparison.seed_se or 0.0) ** 2
    seeds = math.ceil(by_seed * n_seeds / (_SEED_SHARE * wanted)) if n_seeds > 1 else _SEEDS
    factor = max(se**2 - by_seed, 0.0) / (wanted * (1 - _SEED_SHARE if n_seeds > 1 else 1))
    return Effort(detect=detect, queries=math.ceil(n_queries * factor), origins=max(1, math.ceil(factor)),
                  seeds=max(1, seeds), measured_seeds=n_seeds)  # fmt: skip
