"""Regret of exploration on the built-in corpus's shoppers, whose truth says what each would take.

    .venv/bin/python -m benchmarks.explore [--requests N] [--seeds S] [--rate R]

One item is shown a request, of 30 candidates, each drawn with its share of the exposure. A shopper takes it with
probability 1 / (1 + exp(2 − affinity)), which no policy knows; all meet the same shoppers, candidates and luck. What
they know is a ranker's score, which sees the visible taste (category, brand) as an ids-only model would and overrates
popular items, and three numbers: the visible match, the worded match with noise (what an encoder says), and log
popularity. `greedy` shows the best score; `epsilon`, `thompson` and `linucb` are the server's own code at --rate,
`linucb_full` at rate 1; `ridge` is LinUCB's regression without its bound, at rate 1; `best_fixed` the one fixed
weighting of the score and the numbers that is best in hindsight (least squares on all candidates' probabilities).
`ranker_knows_all`: the same with a fifth of the requests where the score is the true affinity: nothing to learn.
Regret: the sum over requests of the best candidate's probability less that of the item shown.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass, field

import numpy as np

from llmrec.config import SampleConfig
from llmrec.corpus.sample import draw_truth
from llmrec.exploration import Exploration, LinearState, Pool, explore, standardised
from llmrec.exploration.slots import Policy

CANDIDATES = 30
#: Requests after which what came back is taken in, as a server's replicas do every moment.
_BATCH = 20
#: Parts that candidates are drawn in, for memory's sake.
_PARTS = 10
#: What popularity adds to the ranker's score, and the noise of the worded match: stated, not fitted.
_POPULARITY, _NOISE = 0.5, 0.5


@dataclass
class Requests:
    """N requests alike for all policies: scores, numbers, probabilities (N, C, …) and luck (N,)."""

    items: np.ndarray
    scores: np.ndarray
    contexts: np.ndarray
    chances: np.ndarray
    luck: np.ndarray

    @classmethod
    def draw(cls, n: int, seed: int, knows_all: bool) -> "Requests":
        """Of the shoppers of the built-in corpus with this seed. `knows_all`: the score is the true affinity."""
        rng = np.random.default_rng(seed)
        truth = draw_truth(SampleConfig(seed=seed))
        users = np.repeat(rng.integers(len(truth.user_ids), size=n)[:, None], CANDIDATES, axis=1)
        items = np.concatenate([_candidates(truth.popularity, len(some), rng) for some in np.split(users, _PARTS)])
        visible, popular = truth.visible(users, items).astype(float), np.log(truth.popularity[items])
        worded = truth.worded(users, items) + _NOISE * rng.normal(size=items.shape)
        scores = visible + _POPULARITY * popular / np.log(truth.popularity).std()
        scores = truth.match(users, items) if knows_all else scores
        order = np.argsort(-scores, axis=1)
        items, scores, visible, worded, popular = (
            np.take_along_axis(v, order, axis=1) for v in (items, scores, visible, worded, popular)
        )
        contexts = np.stack([standardised(s, np.column_stack(c)) for s, c in zip(
            scores, zip(visible, worded, popular, strict=True), strict=True)])  # fmt: skip
        chances = 1 / (1 + np.exp(2 - truth.match(users, items)))
        return cls(items, scores, contexts, chances, rng.random(n))


def _candidates(popularity: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, CANDIDATES) items without replacement, each with its share of the exposure."""
    keys = np.log(popularity) + rng.gumbel(size=(n, len(popularity)))
    return np.argpartition(-keys, CANDIDATES, axis=1)[:, :CANDIDATES]


@dataclass
class Player:
    """A policy that meets the requests one by one, and what it lost by now."""

    policy: Policy
    rate: float
    n_items: int
    bound: bool = True
    lost: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shown, self.taken = np.zeros(self.n_items), np.zeros(self.n_items)
        self.state, self._waiting = LinearState.nothing_seen(5), list[tuple[np.ndarray, float]]()

    def play(self, requests: Requests, seed: int) -> float:
        """The regret; `lost` is that of each request."""
        for n in range(len(requests.luck)):
            place = self._choose(requests, n, seed)
            taken = float(requests.luck[n] < requests.chances[n, place])
            self._learn(requests.items[n, place], requests.contexts[n, place], taken)
            self.lost.append(float(requests.chances[n].max() - requests.chances[n, place]))
        return float(np.sum(self.lost))

    def _choose(self, requests: Requests, n: int, seed: int) -> int:
        contexts, items = requests.contexts[n], requests.items[n]
        if not self.bound:
            return int(self.state.expected(contexts).argmax())
        pool = Pool(requests.scores[n], self.taken[items], self.shown[items] / 10, contexts, self.state)
        return int(explore(Exploration(self.policy, self.rate, seed * 10**7 + n), pool, 1).places[0])

    def _learn(self, item: int, context: np.ndarray, taken: float) -> None:
        self.shown[item] += 1
        self.taken[item] += taken
        self._waiting.append((context, taken))
        if len(self._waiting) == _BATCH:
            contexts, rewards = zip(*self._waiting, strict=True)
            self.state = self.state.after(np.stack(contexts), np.array(rewards))
            self._waiting.clear()


def best_fixed(requests: Requests) -> float:
    """Regret of the linear weighting that fits all candidates' own probabilities best."""
    flat = requests.contexts.reshape(-1, requests.contexts.shape[-1])
    weights = np.linalg.lstsq(flat, requests.chances.ravel(), rcond=None)[0]
    places = (requests.contexts @ weights).argmax(axis=1)[:, None]
    return float((requests.chances.max(axis=1) - np.take_along_axis(requests.chances, places, axis=1)[:, 0]).sum())


def measure(n: int, seed: int, rate: float, knows_all: bool = False) -> dict[str, float]:
    """Policy -> regret over the requests of a seed."""
    requests = Requests.draw(n, seed, knows_all)
    n_items = int(requests.items.max()) + 1
    players = {
        "greedy": Player("epsilon", 0.0, n_items), "epsilon": Player("epsilon", rate, n_items),
        "thompson": Player("thompson", rate, n_items), "linucb": Player("linucb", rate, n_items),
        "linucb_full": Player("linucb", 1.0, n_items), "ridge": Player("linucb", 1.0, n_items, bound=False),
    }  # fmt: skip
    found = {"best_fixed": best_fixed(requests)}
    found["random"] = float((requests.chances.max(axis=1) - requests.chances.mean(axis=1)).sum())
    for name, player in players.items():
        started = time.perf_counter()
        found[name] = player.play(requests, seed)
        print(f"seed {seed}: {name} {found[name]:.0f} ({time.perf_counter() - started:.0f} s)", file=sys.stderr)
    return found


def main() -> None:
    """Run the benchmark; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.1)
    args = parser.parse_args()
    if args.requests % _PARTS:
        parser.error(f"--requests {args.requests}: expected a multiple of {_PARTS}")
    runs = [measure(args.requests, seed, args.rate) for seed in range(7, 7 + args.seeds)]
    knowing = measure(args.requests // 5, 7, args.rate, knows_all=True)
    regret = {name: round(float(np.mean([run[name] for run in runs])), 1) for name in runs[0]}
    beats = {
        name: all(run[name] < run["greedy"] for run in runs)
        for name in ("epsilon", "thompson", "linucb", "linucb_full", "ridge")
    }  # fmt: skip
    told = {"benchmark": "explore", "cores": os.cpu_count(), "requests": args.requests, "seeds": args.seeds,
            "rate": args.rate, "regret": regret, "beats_greedy_on_every_seed": beats,
            "ranker_knows_all": {name: round(value, 1) for name, value in knowing.items()},
            "by_seed": {name: [round(run[name], 1) for run in runs] for name in regret}}  # fmt: skip
    print(json.dumps(told, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    main()
