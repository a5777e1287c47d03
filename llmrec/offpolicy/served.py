"""Of a server's exposure log: what another rate of exploration, or none, would have got from the same lists."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec.exposures import ExposureLog, ServedList
from llmrec.offpolicy.estimate import NoSupportError
from llmrec.offpolicy.logged import LoggedSlots

_READ = 5_000


@dataclass(frozen=True)
class Target:
    """Another `rate` of the policy that drew a list; 0 is `greedy`, always the best item left."""

    rate: float

    @classmethod
    def parse(cls, text: str) -> "Target":
        """`greedy`, or `rate:0.2`. Raises ValueError."""
        name, _, value = text.partition(":")
        try:
            rate = 0.0 if text == "greedy" else float(value) if name == "rate" else -1.0
        except ValueError:
            rate = -1.0
        if not 0 <= rate <= 1:
            raise ValueError(f"off-policy: target {text!r}: expected `greedy`, or `rate:R` with R from 0 to 1")
        return cls(rate)

    def refuse(self, served: ServedList) -> None:
        """Raise NoSupportError where it does what the list's policy never did."""
        if self.rate > 0 and served.rate == 0:
            raise NoSupportError(
                f"off-policy: list {served.list_id} was drawn at rate 0 and shows nothing but the best item left: it "
                f"says nothing of rate {self.rate:g}; leave such lists out by --min-rate, or explore"
            )
        if self.rate < 1 and served.rate == 1 and served.policy != "epsilon":
            raise NoSupportError(
                f"off-policy: list {served.list_id} was drawn by {served.policy} at rate 1, by which the best item "
                f"left may have no chance: it says nothing of rate {self.rate:g}; log with a rate below 1"
            )


def slots_of_log(
    log: ExposureLog, target: Target, depth: int, kinds: Collection[str] | None = None, policy: str | None = None,
    min_rate: float = 0.0,
) -> LoggedSlots:  # fmt: skip
    """The first `depth` slots of all drawn lists. A slot's reward is 1 where it got feedback of these `kinds`.

    `policy`: only lists that it drew. Interleaved lists have no propensities and do not count.
    """
    paid = {(f.number, f.slot) for f in log.feedback() if kinds is None or f.kind in kinds}
    columns: dict[str, list[object]] = {name: [] for name in ("user", "list", "slot", "reward", "propensity", "target")}
    taken, intended, users, terms = list[np.ndarray](), list[np.ndarray](), dict[str, int](), set[tuple[str, ...]]()
    for number, served in _drawn(log, policy, min_rate):
        target.refuse(served)
        n = min(depth, len(served.items))
        best, shares = np.array(served.best[:n], float), np.array(served.shares[:n])
        columns["user"] += [users.setdefault(served.user or served.list_id, len(users))] * n
        columns["list"] += [number] * n
        columns["slot"] += range(n)
        columns["reward"] += [float((number, slot) in paid) for slot in range(n)]
        columns["propensity"] += served.propensities[:n]
        columns["target"] += (target.rate * shares + (1 - target.rate) * best).tolist()
        assert served.contexts is not None
        own, of_best, of_policy = served.contexts[:, :n].astype(float)
        taken.append(own)
        intended.append((1 - target.rate) * of_best + target.rate * of_policy)
        terms.add(served.terms)
    arrays: dict[str, Any] = {name: np.array(values) for name, values in columns.items()}
    if len(terms) != 1:  # bundles whose blends read different things: no model of both
        return LoggedSlots(**arrays)
    return LoggedSlots(**arrays, taken=np.concatenate(taken), intended=np.concatenate(intended))


def _drawn(log: ExposureLog, policy: str | None, min_rate: float) -> Iterator[tuple[int, ServedList]]:
    after = 0
    while found := list(log.lists(after, _READ)):
        after = found[-1][0]
        for number, served in found:
            if served.contexts is not None and policy in (None, served.policy) and served.rate >= min_rate:
                yield number, served
