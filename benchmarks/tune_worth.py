"""What tuning is worth: text-only ranking of items that nobody reviewed before T1, the encoder tuned and as it came.

    python -m benchmarks.tune_worth --config configs/builtin_tuned.yaml [--seeds 7,8,9] [--corpora 7,8,9] [KEY=VALUE …]

A user is the mean of the five latest reviews that they liked before, an item its own text: nothing else is known.
Queries are likes from T1 on; candidates the new items. The encoder is tuned in this process, once a seed, and the
difference has a paired interval, clustered by user and item, over training seeds. A corpus has few new items: with
`--corpora` each seed is given another generated corpus of the same kind, and the interval holds over corpora and seeds
together. tuning.shuffled_pairs=true is the control that must earn nothing. On the built-in corpus the generator's own
affinity is the oracle. Last line: JSON.
"""

import argparse
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from llmrec.config import RunConfig, load_config
from llmrec.corpus import ingest
from llmrec.corpus.sample import draw_truth
from llmrec.evaluation.statistics.bootstrap import Bootstrap, mean_over_seeds
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage
from llmrec.tuning import tune, with_encoder
from llmrec.tuning.ranking import TextQueries, ndcg_at, ranks_of
from llmrec.tuning.texts import TuningTexts, read_texts
from llmrec.tuning.worth import text_ndcg, text_questions


def oracle(config: RunConfig, corpus: Artifact, texts: TuningTexts, queries: TextQueries) -> float | None:
    """NDCG@10 of the generator's affinity; None for other corpora."""
    if config.corpus.source != "sample":
        return None
    truth = draw_truth(config.corpus.sample)
    reviews = corpus.table("reviews", [C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.EVENT_ORDER])
    reviews = reviews.sort_by([(C.TIMESTAMP, "ascending"), (C.EVENT_ORDER, "ascending")])
    names = {}
    for column, codes in ((C.USER_ID, texts.user), (C.ITEM_ID, texts.item)):
        first = np.unique(codes, return_index=True)[1]
        names[column] = [reviews[column][int(row)].as_py() for row in first]
    users = truth.user_rows([names[C.USER_ID][u] for u in queries.user])
    items = truth.item_rows([names[C.ITEM_ID][i] for i in queries.candidates])
    scores = truth.match(np.repeat(users, len(items)), np.tile(items, len(users))).reshape(len(users), -1)
    noise = np.random.default_rng(0).random(scores.shape) * 1e-6  # affinities tie; a tie counts against the target
    return float(ndcg_at(ranks_of(scores + noise, queries)).mean())


@dataclass(frozen=True)
class Worth:
    """(Q,) of one corpus: who asked for what, and how well the frozen and the tuned encoder ranked it."""

    corpus: int  # seed of the generated corpus; -1 of the one that the configuration names
    seed: int
    user: list[int]
    target: list[int]
    frozen: list[float]
    tuned: list[float]
    oracle: float | None
    best_step: int


def worth(config: RunConfig, corpus_seed: int, n: int) -> Worth:
    """Tune on one corpus, and judge."""
    storage = Storage(str(Path(config.storage).absolute()))
    corpus = ingest(config, storage)
    encoder = config.encoding.encoder
    cut = read_texts(corpus, config.split, encoder, config.tuning.max_events).cut
    asked = text_questions(config, corpus, cut, n)
    data, queries = asked.data, asked.new
    started = time.monotonic()
    made = tune(config, storage, corpus)
    step = made.manifest.info["best_step"]
    logging.info("corpus %d, seed %d: best step %s, %.0f s", corpus_seed, config.seed, step, time.monotonic() - started)
    tuned = text_ndcg(with_encoder(config, made).encoding.encoder, data, queries)
    return Worth(
        corpus_seed, config.seed, queries.user.tolist(), queries.target.tolist(),
        text_ndcg(encoder, data, queries).tolist(), tuned.tolist(), oracle(config, corpus, data.texts, queries), step,
    )  # fmt: skip


def pooled(found: Sequence[Worth]) -> dict[str, Any]:
    """Queries of the same corpus are averaged over seeds; those of several corpora stand beside each other."""
    by_corpus = {w.corpus: [o for o in found if o.corpus == w.corpus] for w in found}
    user, item, moved = [], [], []
    for number, some in enumerate(by_corpus.values()):
        user += [(number << 40) + u for u in some[0].user]
        item += [(number << 40) + i for i in some[0].target]
        moved.append(mean_over_seeds([np.array(w.tuned) - np.array(w.frozen) for w in some]))
    each = [float(np.mean(w.tuned) - np.mean(w.frozen)) for w in found]
    ways = Bootstrap(np.array(user), 2, 7, np.array(item))
    estimate = ways.mean(np.concatenate(moved), seeds=each).estimate(0.95)
    oracles = [w.oracle for w in found if w.oracle is not None]
    return {
        "benchmark": "tune_worth", "corpora": list(by_corpus), "seeds": [w.seed for w in found], "queries": len(user),
        "items": len(set(item)), "frozen": [float(np.mean(w.frozen)) for w in found],
        "tuned": [float(np.mean(w.tuned)) for w in found], "best_steps": [w.best_step for w in found],
        "oracle": float(np.mean(oracles)) if oracles else None,
        "difference": estimate.value, "low": estimate.low, "high": estimate.high,
    }  # fmt: skip


def main() -> None:
    """Tune, judge, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--seeds", default="7,8,9", help="with commas between them")
    parser.add_argument("--corpora", help="seeds of generated corpora, one for each of --seeds, judged as one")
    parser.add_argument("--queries", type=int, default=500, help="at most, of each corpus")
    parser.add_argument("--kept", type=Path, help="a file of JSON lines: what is in it is not measured again")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config = load_config(args.config, args.overrides)
    torch.set_num_threads(config.tuning.threads_per_worker if config.tuning.threads_per_worker != "auto" else 1)
    seeds = [int(seed) for seed in args.seeds.split(",")]
    corpora = [int(seed) for seed in args.corpora.split(",")] if args.corpora else [-1] * len(seeds)
    kept = args.kept.read_text(encoding="utf-8").splitlines() if args.kept and args.kept.exists() else []
    done = {(w.corpus, w.seed): w for w in (Worth(**json.loads(line)) for line in kept)}
    found: list[Worth] = []
    for corpus_seed, seed in zip(corpora, seeds, strict=True):
        if (corpus_seed, seed) not in done:
            one = worth(_on(config, corpus_seed, seed), corpus_seed, args.queries)
            done[corpus_seed, seed] = one
            if args.kept:
                with args.kept.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(asdict(one)) + "\n")
        found.append(done[corpus_seed, seed])
        print(json.dumps(pooled(found)), flush=True)  # what is known so far


def _on(config: RunConfig, corpus_seed: int, seed: int) -> RunConfig:
    update: dict[str, Any] = {"seed": seed}
    if corpus_seed >= 0:
        sample = config.corpus.sample.model_copy(update={"seed": corpus_seed})
        update["corpus"] = config.corpus.model_copy(update={"sample": sample})
    return config.model_copy(update=update)


if __name__ == "__main__":
    main()
