"""What diversity costs and gives: NDCG@10 against how far the items of a list differ, dial by dial.

    .venv/bin/python -m benchmarks.diversity [--config FILE] [--queries N] [SECTION.KEY=VALUE …]

On the published bundle of the built-in corpus: `queries` events after T2, each asked for as of its own time. `ild` is
the mean over pairs of a list of 1 − their cosine, in the space that diversifies; `categories` and `qualities` know
nothing of that space: how many true categories a list of ten holds, and the mean over pairs of 1 − the cosine of their
true qualities. `drawn` is what needs no vectors: ten at random of the best M. `change` is NDCG less that of the best
ten, paired, and `within` half its 95 % interval.
"""

import argparse
import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.bundle import Bundle
from llmrec.config import load_config
from llmrec.corpus.sample.generate import SampleTruth, draw_truth
from llmrec.corpus.splits import cutoffs
from llmrec.diversity import Diversity, Method, diversify
from llmrec.registry import current
from llmrec.search import Likeness
from llmrec.storage import Storage

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
K, WEIGHTS, DEPTHS = 10, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), (12, 15, 20, 30, 50)
METHODS: tuple[Method, ...] = ("mmr", "dpp")


@dataclass(frozen=True)
class Space:
    """Where the items of a list differ: by the bundle, and in truth."""

    kernel: npt.NDArray[np.float32]  # (N, N) of one query's candidates
    category: Ints
    qualities: npt.NDArray[np.float32]  # (N, A) of length one

    def of(self, places: Ints) -> tuple[float, float, float]:
        """ild, categories, qualities of a list."""
        true = self.qualities[places] @ self.qualities[places].T
        return _apart(self.kernel[np.ix_(places, places)]), len(np.unique(self.category[places])), _apart(true)


def _apart(cosines: npt.NDArray[np.floating]) -> float:
    n = len(cosines)
    return float(1 - (cosines.sum() - np.trace(cosines)) / (n * (n - 1)))


def gain(places: Ints, target: Ints) -> float:
    """NDCG@10 of a list, one item being relevant: at the place `target` (1,), or at none (0,)."""
    rank = np.flatnonzero(np.isin(places, target))
    return float(1 / np.log2(rank[0] + 2)) if len(rank) else 0.0


def lists(scores: npt.NDArray[np.float32], space: Space, draw: np.random.Generator) -> dict[str, Ints]:
    """Dial -> places of ten, the candidates being the best first."""
    found = {f"drawn {m}": np.sort(draw.permutation(min(m, len(scores)))[:K]) for m in DEPTHS}
    dials = ((method, weight) for method in METHODS for weight in WEIGHTS)
    found |= {f"{m} {w:g}": diversify(Diversity(m, w), scores, space.kernel, K) for m, w in dials}
    return {"best": np.arange(min(K, len(scores)))} | found


def measure(bundle: Bundle, truth: SampleTruth, asked: Ints, seed: int) -> dict[str, dict[str, float]]:
    """Dial -> means over the events `asked` (Q,)."""
    recommender, history, data = bundle.recommender(), bundle.history, bundle.history.data
    vectors = None if bundle.search is None or bundle.search.vectors is None else bundle.search.vectors.unit
    likeness, draw = Likeness.of(data, vectors), np.random.default_rng(seed)
    known = np.maximum(truth.aspects.sum(axis=1, keepdims=True), 1)
    qualities = (truth.aspects / np.sqrt(known)).astype(np.float32)
    figures: dict[str, list[tuple[float, ...]]] = {}
    for event in asked.tolist():
        user, time = data.user_rows[event : event + 1], data.times[event : event + 1]
        state = history.users_at(user, time, history.contexts_at(user, time))
        rows, scores = (found[0] for found in recommender.recommend(state, time, recommender.n_retrieve))
        rows, scores = rows[rows >= 0], scores[rows >= 0]
        true = truth.item_rows([history.item_ids[int(row)] for row in rows])
        space = Space(likeness.kernel(rows, rows), truth.category[true], qualities[true])
        target = np.flatnonzero(rows == data.item_rows[event])
        for dial, places in lists(scores, space, draw).items():
            figures.setdefault(dial, []).append((gain(places, target), *space.of(places)))
    return {dial: _means(np.array(found), np.array(figures["best"])) for dial, found in figures.items()}


def _means(found: Doubles, best: Doubles) -> dict[str, float]:
    change = found[:, 0] - best[:, 0]
    ndcg, ild, categories, qualities = found.mean(axis=0).round(4).tolist()
    half = 1.96 * float(change.std(ddof=1)) / len(change) ** 0.5
    return {"ndcg": ndcg, "change": round(float(change.mean()), 4), "within": round(half, 4), "ild": ild,
            "categories": round(categories, 2), "qualities": qualities}  # fmt: skip


def main() -> None:
    """Print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="configs/quickstart.yaml")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_args()
    config = load_config(given.config, given.overrides)
    if config.corpus.source != "sample":
        raise SystemExit(f"{given.config}: expected the built-in corpus: its truth is known")
    storage = Storage(config.storage)
    artifact = storage.find("bundle", str(current(storage, config.name)["id"]))
    assert artifact is not None, "CURRENT names a bundle that is not there: publish again"
    bundle = Bundle.load(artifact.root)
    data = bundle.history.data
    after = np.flatnonzero((data.times >= cutoffs(data.times, config.split).t2) & data.outcomes)
    asked = np.random.default_rng(given.seed).permutation(after)[: given.queries]
    found = measure(bundle, draw_truth(config.corpus.sample), np.sort(asked), given.seed)
    for dial, figures in found.items():
        print(f"{dial:10}", "  ".join(f"{name} {value:g}" for name, value in figures.items()))
    print(json.dumps({"benchmark": "diversity", "config": config.name, "queries": len(asked), "dials": found}))


if __name__ == "__main__":
    main()
