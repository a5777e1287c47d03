"""IPS, SNIPS and doubly robust estimates of what a target policy would have got from the lists of another one.

A slot's weight is the product of the ratios target / propensity of itself and of the slots above it, so that an
estimate is unbiased if a reward depends on its own slot and those above (the cascade: McInerney et al., "Counterfactual
evaluation of slate recommendations with sequential reward interactions", KDD 2020). A table of single actions is lists
of one slot: Horvitz & Thompson (1952), Swaminathan & Joachims (NeurIPS 2015), Dudík, Langford & Li (ICML 2011); the
doubly robust one of lists: Kiyohara et al. (WSDM 2022).

Intervals: users are drawn, all their lists together. Student's t over users' influences, which is the clustered
bootstrap without its noise (`evaluation/statistics/bootstrap.py`); SNIPS, a ratio, by leaving out groups of users.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm
from sklearn.linear_model import Ridge

from llmrec.evaluation.records.estimates import Estimate
from llmrec.evaluation.statistics.bootstrap import Bootstrap
from llmrec.features.arrays import Ints
from llmrec.offpolicy.logged import Doubles, LoggedSlots

FOLDS = 5
#: Below so many lists' worth of information intervals are too narrow.
FEW = 100
#: Standard errors by which the weights' mean must miss 1 before the target is refused.
_MISS = 4.0


class NoSupportError(ValueError):
    """The target does what the logging policy never did."""


@dataclass(frozen=True)
class OffPolicy:
    """Rewards a list. `logged`: what the logging policy got; `difference`: target less logged, in pairs of lists."""

    logged: Estimate
    ips: Estimate
    snips: Estimate
    dr: Estimate | None  # None where what the target would have shown has no features
    difference: Estimate
    lists: int
    effective: float  # lists' worth of information (Kish): (Σw)² / Σw²
    mean_weight: float
    largest_weight: float
    unseen: float

    @property
    def caution(self) -> str | None:
        """Why the intervals should not be believed, if so."""
        if self.effective >= FEW:
            return None
        return (
            f"{self.effective:.0f} lists' worth of information, at least {FEW} are needed: log more, or ask about a "
            "policy nearer to the logged one, or about fewer slots"
        )


def estimate(data: LoggedSlots, confidence: float = 0.95, seed: int = 7) -> OffPolicy:
    """All estimates. Raises NoSupportError where the target puts weight where the log has none."""
    first = np.flatnonzero(data.new_list)
    above, weight = data.above(), data.weight
    whole = above * weight
    users = Bootstrap(data.user[first], 2, seed)
    lists_weight = whole[np.append(first[1:], len(whole)) - 1]  # of the last slot: the list's own
    _refuse_without_support(users, lists_weight, data.unseen)
    logged = _by_list(data.reward, first)
    ips = _by_list(whole * data.reward, first)
    robust = None
    if data.taken is not None and data.intended is not None:
        shown, intended = _predicted(data, data.taken, data.intended)
        robust = _by_list(above * (intended + weight * (data.reward - shown)), first)
    means = [users.mean(v).estimate(confidence) for v in (logged, ips, (ips if robust is None else robust) - logged)]
    return OffPolicy(
        means[0], means[1], _self_normalised(data, whole, len(first), confidence, seed),
        None if robust is None else users.mean(robust).estimate(confidence), means[2], len(first),
        float(lists_weight.sum() ** 2 / max((lists_weight**2).sum(), 1e-300)), float(lists_weight.mean()),
        float(lists_weight.max()), data.unseen,
    )  # fmt: skip


def _by_list(values: Doubles, first: Ints) -> Doubles:
    return np.asarray(np.add.reduceat(values, first))


def _refuse_without_support(users: Bootstrap, weights: Doubles, unseen: float) -> None:
    """Weights average 1 if every choice of the target had a chance; less is the share of those that had none."""
    found = users.mean(weights).estimate(2 * norm.cdf(_MISS) - 1)
    if not weights.any() or (found.high is not None and found.high < 1):
        told = f", {unseen:.1%} of what it does is in the log not once" if unseen else ""
        raise NoSupportError(
            f"off-policy: the weights target / propensity average {found.value:.3f}, expected 1{told}: the target does "
            "what the logging policy never did, or the propensities are not those that things were drawn with. Nothing "
            "can be said of such a policy from this log; explore at a higher rate, or by `epsilon`"
        )


def _predicted(data: LoggedSlots, taken: Doubles, intended: Doubles) -> tuple[Doubles, Doubles]:
    """(n,) rewards of what was shown and of what the target would have shown, by ridge regression on other users."""
    shown, meant = np.empty(len(data.reward)), np.empty(len(data.reward))
    fold = np.random.default_rng(0).permutation(int(data.user.max()) + 1)[data.user] % FOLDS
    for out in range(FOLDS):
        inside, left = fold != out, fold == out
        if not left.any():
            continue
        if not inside.any():  # a single user: no model is as good as any, and the estimate is IPS
            shown[left] = meant[left] = 0.0
            continue
        model = Ridge(alpha=1.0).fit(taken[inside], data.reward[inside])
        shown[left], meant[left] = model.predict(taken[left]), model.predict(intended[left])
    return shown, meant


def _self_normalised(data: LoggedSlots, weight: Doubles, n_lists: int, confidence: float, seed: int) -> Estimate:
    """Σ over slots of the weighted mean reward, each slot counting as often as lists have it."""
    slots = np.arange(int(data.slot.max()) + 1)
    here = data.slot[:, None] == slots
    share = here.sum(axis=0) / n_lists
    terms = np.concatenate([here * (weight * data.reward)[:, None], here * weight[:, None]], axis=1)

    def metric(rows: Doubles) -> dict[str, Doubles]:
        above, below = np.split(rows @ terms, 2, axis=1)
        return {"snips": (share * above / np.where(below > 0, below, np.inf)).sum(axis=1)}

    return Bootstrap(data.user, 2, seed).statistics(metric)["snips"].estimate(confidence)
