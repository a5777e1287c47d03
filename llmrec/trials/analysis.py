"""What an exposure log says of an experiment's arms.

The unit is the user: an outcome is the share of their lists, within `horizon_s` of their first one, that got feedback
of the experiment's `kinds`. It counts once it is settled (the last list's window has passed, too), in the order of
first lists, so that users come one by one and independently, as the intervals want it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import chisquare

from llmrec.config.serving.experiments import ExperimentConfig
from llmrec.evaluation.records.estimates import Verdict
from llmrec.exposures import ExposureLog, ServedList
from llmrec.trials.allocation import shares
from llmrec.trials.sequences import Doubles, Sequence, difference_sequence, mean_sequence

#: Shares of users that are less likely than this are no chance: something is wrong with the experiment.
_MISMATCH = 1e-3
_READ = 5_000


@dataclass
class Taker:
    """A user who takes part; `arm` is None in an interleaved experiment."""

    arm: str | None
    first: int  # ms
    lists: int = 0
    answered: int = 0  # lists with feedback
    wins: float = 0.0  # interleaved: lists that the other arm than the control won, less those that it lost

    @property
    def outcome(self) -> float:
        return self.answered / self.lists

    @property
    def preference(self) -> float:
        return self.wins / self.lists


@dataclass
class Seen:
    """Users in the order of their first lists, and how many of them are settled."""

    takers: dict[str, Taker] = field(default_factory=dict)

    def settled(self, before: int) -> list[Taker]:
        """Those whose first list came before a time (ms), in order."""
        return sorted((t for t in self.takers.values() if t.first < before), key=lambda t: t.first)


def analyse(
    name: str, experiment: ExperimentConfig, log: ExposureLog, window_s: float, now: int, confidence: float = 0.95
) -> dict[str, Any]:
    """The report: arms, their differences from the control with always-valid intervals, verdicts, the ratio check."""
    feedback = _feedback(log, experiment.kinds)
    seen = _seen(log, name, experiment, feedback)
    settled = seen.settled(now - int(1000 * (experiment.horizon_s + window_s)))
    told: dict[str, Any] = {"experiment": name, "design": experiment.design, "users": len(seen.takers),
                            "settled_users": len(settled), "stopped": _stopped(log, name)}  # fmt: skip
    alpha = (1 - confidence) / (len(experiment.arms) - 1)
    if experiment.design == "interleaving":
        found = mean_sequence(np.array([t.preference for t in settled]), alpha)
        (second,) = experiment.others
        return told | {"against": experiment.control, "comparisons": {second: _told(found, experiment.margin)}}
    stops = log.stop_times(name)
    ratio = _ratio(seen, experiment, min(stops.values(), default=now + 1))
    comparisons = {
        arm: _told(_compared(settled, experiment, arm, stops.get(arm, now + 1), alpha), experiment.margin)
        for arm in experiment.others
    }
    if ratio["mismatch"]:
        comparisons = {arm: found | {"verdict": "cannot tell"} for arm, found in comparisons.items()}
    arms = {arm: _arm([t for t in settled if t.arm == arm]) for arm in experiment.arms}
    return told | {"arms": arms, "against": experiment.control, "comparisons": comparisons, "sample_ratio": ratio}


def _feedback(log: ExposureLog, kinds: Iterable[str]) -> dict[int, set[int]]:
    """List -> its slots that got feedback of these kinds."""
    wanted, found = set(kinds), dict[int, set[int]]()
    for one in log.feedback():
        if one.kind in wanted:
            found.setdefault(one.number, set()).add(one.slot)
    return found


def _seen(log: ExposureLog, name: str, experiment: ExperimentConfig, feedback: Mapping[int, set[int]]) -> Seen:
    seen, after, horizon = Seen(), 0, int(1000 * experiment.horizon_s)
    second = experiment.others[0]
    while found := list(log.lists(after, _READ, name)):
        after = found[-1][0]
        for number, served in found:
            if bool(served.teams) != (experiment.design == "interleaving"):
                continue
            taker = seen.takers.setdefault(served.user, Taker(served.arm, served.time))
            if served.time - taker.first < horizon:
                taker.lists += 1
                taker.answered += number in feedback
                taker.wins += _won(served, feedback.get(number, set()), second)
    return seen


def _won(served: ServedList, slots: set[int], second: str) -> int:
    """1 where the second arm's items got more feedback than the control's, −1 where less, else 0."""
    if not served.teams:
        return 0
    credit = sum(1 if served.teams[slot] == second else -1 for slot in slots)
    return int(np.sign(credit))


def _compared(settled: list[Taker], experiment: ExperimentConfig, arm: str, until: int, alpha: float) -> Sequence:
    """Users of the arm and of the control from before the arm was stopped."""
    own = [t for t in settled if t.arm in (arm, experiment.control) and t.first < until]
    of_two = shares(experiment)
    share = of_two[arm] / (of_two[arm] + of_two[experiment.control])
    outcome, treated = np.array([t.outcome for t in own]), np.array([t.arm == arm for t in own], bool)
    return difference_sequence(outcome, treated, share, alpha)


def _told(found: Sequence, margin: float) -> dict[str, Any]:
    return {"difference": found.value, "low": found.low, "high": found.high, "users": found.n,
            "verdict": verdict(found, margin)}  # fmt: skip


def verdict(found: Sequence, margin: float) -> Verdict:
    """In the words of an evaluation's report; `no difference` only where there is a `margin`."""
    if found.low is None or found.high is None:
        return "cannot tell"
    if -margin < found.low and found.high < margin:
        return "no difference"
    return "better" if found.low > 0 else "worse" if found.high < 0 else "cannot tell"


def _ratio(seen: Seen, experiment: ExperimentConfig, until: int) -> dict[str, Any]:
    """Whether the arms have as many users as they should: chi-square (Fabijan et al., KDD 2019), of all who came
    before an arm was stopped."""
    expected = shares(experiment)
    counts = {arm: sum(t.arm == arm and t.first < until for t in seen.takers.values()) for arm in expected}
    total = sum(counts.values())
    p = float(chisquare(list(counts.values()), [total * s for s in expected.values()]).pvalue) if total else 1.0
    return {"users": counts, "expected_shares": dict(expected), "p_value": p, "mismatch": p < _MISMATCH}


def _arm(takers: list[Taker]) -> dict[str, Any]:
    outcomes: Doubles = np.array([t.outcome for t in takers])
    lists, answered = sum(t.lists for t in takers), sum(t.answered for t in takers)
    return {"users": len(takers), "lists": lists, "rate_per_user": float(outcomes.mean()) if len(outcomes) else None,
            "rate_per_list": answered / lists if lists else None}  # fmt: skip


def _stopped(log: ExposureLog, name: str) -> dict[str, str]:
    return {arm: why for (experiment, arm), why in log.stopped().items() if experiment == name}
