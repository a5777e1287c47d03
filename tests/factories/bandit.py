"""Logged lists of the built-in corpus's shoppers, whose truth says what each would take."""

from dataclasses import dataclass, field

import numpy as np

from llmrec.config import SampleConfig
from llmrec.corpus.sample import SampleTruth, draw_truth
from llmrec.exploration import Exploration, LinearState, Pool, explore, standardised
from llmrec.exploration.slots import Policy
from llmrec.offpolicy.logged import LoggedSlots


@dataclass
class Simulated:
    """`policy` draws `k` slots at `rate` among `n_candidates` for one of 300 shoppers.

    The ranker knows the visible taste alone. A shopper takes an item the likelier, the higher its true affinity.
    """

    policy: Policy
    rate: float
    k: int
    n_candidates: int
    truth: SampleTruth = field(init=False)

    def __post_init__(self) -> None:
        self.truth = draw_truth(SampleConfig(n_users=300, n_items=200, n_reviews=0))
        self._learned = LinearState.nothing_seen(3).after(np.eye(3), np.array([0.1, 0.0, 0.5]))

    def request(self, draw: np.random.Generator) -> tuple[int, Pool, np.ndarray]:
        """A shopper, what the ranker says of the candidates, and how likely each is to be taken."""
        user, items = int(draw.integers(300)), draw.choice(200, self.n_candidates, replace=False)
        users = np.full(len(items), user)
        scores = self.truth.visible(users, items) + 0.01 * np.log(self.truth.popularity[items])
        order = np.argsort(-scores, kind="stable")
        items, scores = items[order], scores[order]
        exposure = self.truth.popularity[items]
        chance = 1 / (1 + np.exp(1.5 - self.truth.match(users, items)))
        contexts = standardised(scores, np.log(exposure)[:, None])
        return user, Pool(scores, 10 * exposure, np.full(len(items), 20.0), contexts, self._learned), chance

    def log(self, n: int, seed: int, target_rate: float) -> LoggedSlots:
        """`n` lists, as the server's log tells them, with what the same policy would do at `target_rate`."""
        draw = np.random.default_rng(seed)
        columns: dict[str, list[np.ndarray]] = {}
        for number in range(n):
            user, pool, chance = self.request(draw)
            found = explore(Exploration(self.policy, self.rate, int(draw.integers(1 << 40))), pool, self.k)
            told = {
                "user": np.full(self.k, user), "list": np.full(self.k, number), "slot": np.arange(self.k),
                "reward": (draw.random(self.k) < chance[found.places]).astype(float), "propensity": found.propensities,
                "target": target_rate * found.shares + (1 - target_rate) * found.best, "taken": found.contexts[0],
                "intended": (1 - target_rate) * found.contexts[1] + target_rate * found.contexts[2],
            }  # fmt: skip
            for name, values in told.items():
                columns.setdefault(name, []).append(values)
        return LoggedSlots(**{name: np.concatenate(values) for name, values in columns.items()})

    def value(self, rate: float, n: int) -> float:
        """Rewards a list of the same policy at `rate`, by the truth's own probabilities over `n` lists."""
        draw, total = np.random.default_rng(10**6), 0.0
        for _ in range(n):
            _, pool, chance = self.request(draw)
            found = explore(Exploration(self.policy, rate, int(draw.integers(1 << 40))), pool, self.k)
            total += float(chance[found.places].sum())
        return total / n
