"""What tuning the encoder was worth by itself: the frozen and the tuned rank the test's likes by text alone.

What it was worth to the whole system is told by the control `frozen_encoder`.
"""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from llmrec.config import RunConfig
from llmrec.corpus.splits import review_cutoffs
from llmrec.evaluation.records.estimates import Point
from llmrec.evaluation.records.tuned import Questions, TunedEncoder, TuningStudy
from llmrec.evaluation.statistics.bootstrap import Bootstrap, Resampled
from llmrec.evaluation.statistics.comparisons import Pair, compare
from llmrec.storage import Artifact, Storage
from llmrec.tuning import find_refitted, find_tuned, with_encoder, with_few_pairs
from llmrec.tuning.fit import METRIC
from llmrec.tuning.worth import TextQuestions, network_of, text_ndcg, text_questions

FROZEN, TUNED, REFITTED = "frozen", "tuned", "refitted"
_QUERIES = 500


def tuned_encoders(config: RunConfig, storage: Storage, corpus: Artifact) -> dict[str, Artifact]:
    """What the stage `tune` has made of this configuration; {} where nothing was tuned."""
    if not config.tuning.objectives:
        return {}
    asked = {f"{n}_pairs": with_few_pairs(config, n) for n in config.tuning.few_pairs} | {TUNED: config}
    found = {name: find_tuned(one, storage, corpus) for name, one in asked.items()}
    if config.tuning.refit and (first := found[TUNED]) is not None:
        found[REFITTED] = find_refitted(config, storage, corpus, first)
    return {name: one for name, one in found.items() if one is not None}


def tuning_study(config: RunConfig, corpus: Artifact, tuned: Mapping[str, Artifact]) -> TuningStudy | None:
    """None where nothing was tuned, or nobody likes anything from T2 on who had liked something before."""
    if (made := tuned.get(TUNED)) is None:
        return None
    encoders: dict[str, Artifact | None] = {FROZEN: None, **tuned}
    asked = text_questions(config, corpus, review_cutoffs(corpus, config.split).t2, _QUERIES)
    if not len(asked.every):
        return None
    found = _answers(config, encoders, asked)
    measured = {name: TunedEncoder(name=name, ndcg=_estimates(config, some), **_learned(encoders[name]))
                for name, some in found.items()}  # fmt: skip
    curve, tuning = made.manifest.info["curve"], config.tuning
    return TuningStudy(
        learned=" + ".join(f"{name} × {weight:g}" for name, weight in tuning.objectives.items()) + f"; {tuning.method}",
        n_queries={name: len(getattr(asked, name)) for name in found[FROZEN]}, encoders=list(measured.values()),
        comparisons={name: _compared(config, {n: some[name] for n, some in found.items()}) for name in found[FROZEN]},
        losses=[Point(x=row["step"], y=_loss(row)) for row in curve if set(row) - {"step", METRIC}],
        validation=[Point(x=row["step"], y=row[METRIC]) for row in curve if METRIC in row],
    )  # fmt: skip


def _answers(
    config: RunConfig, encoders: Mapping[str, Artifact | None], asked: TextQuestions
) -> dict[str, dict[Questions, Resampled]]:
    """Encoder -> questions, where there are any -> its mean NDCG@10."""
    kinds = [kind for kind in get_args(Questions) if len(getattr(asked, kind))]
    ways = {kind: Bootstrap(q.user, config.evaluation.bootstrap, config.seed, q.target)
            for kind in kinds for q in [getattr(asked, kind)]}  # fmt: skip
    found = {}
    for name, made in encoders.items():
        encoder = with_encoder(config, made).encoding.encoder
        network = network_of(encoder, asked.data)
        found[name] = {
            kind: ways[kind].mean(text_ndcg(encoder, asked.data, getattr(asked, kind), network)) for kind in kinds
        }
    return found


def _estimates(config: RunConfig, found: Mapping[Questions, Resampled]) -> dict[Questions, Any]:
    return {kind: mean.estimate(config.evaluation.confidence) for kind, mean in found.items()}


def _compared(config: RunConfig, found: Mapping[str, Resampled]) -> list[Any]:
    """Each encoder against the frozen one, as one family."""
    pairs = [Pair(name, FROZEN, METRIC, mean, found[FROZEN]) for name, mean in found.items() if name != FROZEN]
    return compare(pairs, config.evaluation.confidence)


def _learned(made: Artifact | None) -> dict[str, int]:
    """On how many pairs, and steps, an encoder was tuned."""
    if made is None:
        return {}
    info = made.manifest.info
    return {"pairs": sum(info["pairs"].values()), "steps": info["best_step"]}


def _loss(row: Mapping[str, float]) -> float:
    return float(np.sum([value for name, value in row.items() if name not in ("step", METRIC)]))
