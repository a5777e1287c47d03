"""What tuning is worth: text-only ranking of items that nobody reviewed before T1, the encoder tuned and as it came.

    python -m benchmarks.tune_worth --config configs/builtin_tuned.yaml [--seeds 7,8,9] [SECTION.KEY=VALUE …]

A user is the mean of the five latest reviews that they liked before, an item its own text: nothing else is known.
Queries are likes from T1 on; candidates the new items. The encoder is tuned in this process, once a seed, and the
difference has a paired interval, clustered by user and item, over training seeds. `--shuffled` tunes once more with
pairs dealt to others. On the built-in corpus the generator's own affinity is the oracle. Last line: JSON.
"""

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from llmrec.config import RunConfig, load_config
from llmrec.corpus import ingest
from llmrec.corpus.sample import draw_truth
from llmrec.encoding.encoders.model_files import model_folder
from llmrec.evaluation.statistics.bootstrap import Bootstrap, mean_over_seeds
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage
from llmrec.tuning import tune, with_encoder
from llmrec.tuning.data import TuningData, make_data
from llmrec.tuning.fit import judge
from llmrec.tuning.network import load_network
from llmrec.tuning.ranking import TextQueries, ndcg_at, ranks_of, text_queries
from llmrec.tuning.texts import TuningTexts, read_before, read_texts
from llmrec.workers.process_group import ProcessGroup

Floats = npt.NDArray[np.float64]
_ALWAYS = 1 << 62


def questions(config: RunConfig, corpus: Artifact, n: int) -> tuple[TuningTexts, TextQueries]:
    """The whole corpus as texts, and likes of new items from T1 on."""
    encoder = config.encoding.encoder
    cut = read_texts(corpus, config.split, encoder, config.tuning.max_events).cut
    texts = read_before(corpus, _ALWAYS, encoder, _ALWAYS)
    return texts, text_queries(texts, int(np.searchsorted(texts.time, cut)), n, seed=1, new=True)


def judged(config: RunConfig, data: TuningData, queries: TextQueries) -> Floats:
    """(Q,) NDCG@10 of the encoder that `config` names."""
    encoder = config.encoding.encoder
    folder = model_folder(encoder.model, encoder.revision)
    network = load_network(encoder, folder, config.tuning.dtype, dropout=False)
    return np.asarray(judge(network, data, queries, ProcessGroup()), np.float64)


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


def main() -> None:
    """Tune, judge, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--seeds", default="7,8,9", help="with commas between them")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--shuffled", action="store_true")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    seeds = [int(seed) for seed in args.seeds.split(",")]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    config = load_config(args.config, args.overrides)
    torch.set_num_threads(config.tuning.threads_per_worker if config.tuning.threads_per_worker != "auto" else 1)
    storage = Storage(str(Path(config.storage).absolute()))
    corpus = ingest(config, storage)
    texts, queries = questions(config, corpus, args.queries)
    folder = model_folder(config.encoding.encoder.model, config.encoding.encoder.revision)
    data = make_data(texts, folder, config.tuning, 1, trusted=False)
    answer: dict[str, Any] = {"benchmark": "tune_worth", "queries": len(queries), "items": len(queries.candidates)}
    frozen = judged(config, data, queries)
    answer |= {"frozen": frozen.mean(), "oracle": oracle(config, corpus, texts, queries)}
    tuned = []
    for seed in seeds:
        tuned.append(_tuned(config.model_copy(update={"seed": seed}), storage, corpus, data, queries))
        answer |= {"seeds": seeds[: len(tuned)], "tuned": [float(t.mean()) for t in tuned]}
        differences = mean_over_seeds(tuned) - frozen
        moved = [float((t - frozen).mean()) for t in tuned]
        found = Bootstrap(queries.user, 2, 7, queries.target).mean(differences, seeds=moved).estimate(0.95)
        answer |= {"difference": found.value, "low": found.low, "high": found.high}
        print(json.dumps(answer), flush=True)  # what is known so far
    if args.shuffled:
        control = config.tuning.model_copy(update={"shuffled_pairs": True, "validation_share": 0.0})
        dealt = _tuned(config.model_copy(update={"tuning": control}), storage, corpus, data, queries)
        answer |= {"shuffled": float(dealt.mean())}
    print(json.dumps(answer), flush=True)


def _tuned(
    config: RunConfig, storage: Storage, corpus: Artifact, data: TuningData, queries: TextQueries
) -> Floats:  # fmt: skip
    started = time.monotonic()
    made = tune(config, storage, corpus)
    logging.info(
        "seed %d: best step %s, %.0f s", config.seed, made.manifest.info["best_step"], time.monotonic() - started
    )
    return judged(with_encoder(config, made), data, queries)


if __name__ == "__main__":
    main()
