"""The stage `tune`: a corpus and an encoder in, an encoder that has read the corpus before T1 out."""

import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from llmrec.config import RunConfig
from llmrec.encoding.encoders.fingerprint import model_content
from llmrec.encoding.encoders.model_files import content_hash, model_folder
from llmrec.encoding.encoders.tuned import tuned_before
from llmrec.files import copy_folder, delete_folder
from llmrec.storage import Artifact, ArtifactWriter, Storage, artifact_id
from llmrec.tracking import Tracked
from llmrec.tuning.fit import METRIC, TuneState, load_tuned
from llmrec.tuning.folder import TunedFacts, write_folder
from llmrec.tuning.job import TunePlan, make_network, read_before_cut, tune_loop
from llmrec.tuning.methods import merge
from llmrec.tuning.objectives.registry import module_of
from llmrec.tuning.texts import Cut
from llmrec.workers.loop import TrainRun, run_here

logger = logging.getLogger(__name__)
STAGE = "encoder"
REFIT_BEFORE: Cut = "t2"
#: It runs, which decides no weight; and what is run beside it.
_HOW = {"workers", "gpu", "max_failures", "threads_per_worker", "few_pairs", "refit"}


def tune(config: RunConfig, storage: Storage, corpus: Artifact) -> Artifact:
    """Tune what `encoding.encoder` names on reviews before T1; the artifact holds the encoder's folder, `model/`.

    With `tuning.refit` a second one is made beside it, see `refitted`. A run that was killed goes on from its last
    validation. Raises ValueError for texts, layers or losses that cannot be used, and then writes nothing.
    """
    return _made(config, storage, corpus)


def refitted(config: RunConfig, storage: Storage, corpus: Artifact, first: Artifact) -> Artifact:
    """The encoder tuned anew on reviews before T2, for as many steps as validation chose for `first`, before T1.

    It is the frozen one where no step was chosen: `first` itself.
    """
    steps = first.manifest.info["best_step"]
    return _made(_unvalidated(config), storage, corpus, REFIT_BEFORE, steps) if steps else first


def _unvalidated(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"tuning": config.tuning.model_copy(update={"validation_share": 0.0})})


def _made(
    config: RunConfig, storage: Storage, corpus: Artifact, before: Cut = "t1", stop: int | None = None
) -> Artifact:
    made, sections, parents, also = _identity(config, corpus, before, stop)
    if (found := storage.find(STAGE, made)) is not None:
        return found
    run = TrainRun(f"{storage.root}/tuning_runs", made)
    plan = TunePlan(
        corpus, config.encoding.encoder, config.split, config.tuning, config.seed, _threads(config),
        Tracked.of(config, made, "tuning"), before, stop,
    )  # fmt: skip
    with storage.build(STAGE, made, module=__name__, also=also, config=sections, parents=parents) as writer:
        started = time.monotonic()
        state = _tuned(plan, run)
        _write(plan, state, writer)
        writer.info["seconds"] = time.monotonic() - started
    delete_folder(f"{run.folder}/{run.name}")  # not before all is committed
    finished = storage.find(STAGE, made)
    assert finished is not None
    return Artifact(finished.root, finished.manifest)


def _identity(
    config: RunConfig, corpus: Artifact, before: Cut, stop: int | None
) -> tuple[str, dict[str, Any], dict[str, str], tuple[str, ...]]:
    """The artifact's id, and what decides it: settings, parents, further modules."""
    sections, parents, also = decisive(config), {"corpus": corpus.id}, _objectives(config)
    if stop is not None:
        sections |= {"before": before, "stop": stop}
    return artifact_id(__name__, sections, parents, also), sections, parents, also


def find_tuned(config: RunConfig, storage: Storage, corpus: Artifact) -> Artifact | None:
    """What `tune` made of the same; None where it has not, or it is gone."""
    return storage.find(STAGE, _identity(config, corpus, "t1", None)[0])


def find_refitted(config: RunConfig, storage: Storage, corpus: Artifact, first: Artifact) -> Artifact | None:
    """What `refitted` made of the same; None where it has not, or it is gone."""
    steps = first.manifest.info["best_step"]
    return storage.find(STAGE, _identity(_unvalidated(config), corpus, REFIT_BEFORE, steps)[0]) if steps else first


def with_few_pairs(config: RunConfig, n: int) -> RunConfig:
    """`config` tuning on `n` pairs."""
    return config.model_copy(update={"tuning": config.tuning.model_copy(update={"max_pairs": n})})


def decisive(config: RunConfig) -> dict[str, Any]:
    """The settings that decide the weights; the model by what its files hold."""
    encoder = config.encoding.encoder
    named = encoder.model_dump(mode="json", exclude={"model", "revision", "dtype"}) | {
        "content": model_content(encoder)
    }
    tuning = config.tuning.model_dump(mode="json", exclude=_HOW)
    if config.tuning.teacher is not None:
        tuning["teacher"]["model"] = model_content(config.tuning.teacher)
    return {"encoder": named, "tuning": tuning, "split": config.split.model_dump(), "seed": config.seed}


def with_encoder(config: RunConfig, made: Artifact | None) -> RunConfig:
    """`config` with the tuned encoder as its model; as it is where none was tuned."""
    if made is None:
        return config
    folder = made.uri("model/config.json").removesuffix("/config.json")
    encoder = config.encoding.encoder.model_copy(update={"model": folder, "revision": None})
    return config.model_copy(update={"encoding": config.encoding.model_copy(update={"encoder": encoder})})


def _objectives(config: RunConfig) -> tuple[str, ...]:
    """The modules of those that are named: they are imported by name."""
    return tuple(module_of(name) for name in sorted(config.tuning.objectives))


def _threads(config: RunConfig) -> int:
    """CPU threads of one worker: `auto` shares this machine's, or the smallest node's, out among the workers."""
    asked = config.tuning.threads_per_worker
    if asked != "auto":
        return asked
    cpus = float(os.cpu_count() or 1)
    if config.tuning.workers:
        from llmrec.tasks import live_nodes  # Ray, only where it is used

        cpus = min((node["CPU"] for node in live_nodes() if node.get("CPU", 0.0) >= 1), default=cpus)
    return max(1, int(cpus) // max(config.tuning.workers, 1))


def _tuned(plan: TunePlan, run: TrainRun) -> TuneState:
    """The state in which tuning ended. Raises ValueError where it could not be done."""
    if plan.config.workers:
        from llmrec.workers.ray_train import run_workers  # Ray, only where it is used

        state = TuneState.parse(run_workers(tune_loop, plan, plan.config, run, plan.threads))
    else:
        state = TuneState.parse(run_here(tune_loop, plan, run))
    if state.failed:
        delete_folder(f"{run.folder}/{run.name}")
        raise ValueError(state.failed)
    return state


def _write(plan: TunePlan, state: TuneState, writer: ArtifactWriter) -> None:
    encoder, base = plan.encoder, model_folder(plan.encoder.model, plan.encoder.revision)
    torch.manual_seed(plan.seed)
    network = make_network(plan, base)
    load_tuned(network, state.best)
    n_tuned = sum(w.numel() for w in state.best.values())
    merge(network)
    texts = read_before_cut(plan)
    teachers = [encoder, *([plan.config.teacher] if plan.config.teacher else [])]
    before = max(texts.cut, *(tuned_before(one) or 0 for one in teachers))
    total = sum(p.numel() for p in network.parameters())
    facts = _facts(plan, state) | {
        "reviews": texts.n_reviews, "items": texts.n_items, "weights tuned": f"{n_tuned:,} of {total:,}"
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        write_folder(network, base, encoder, TunedFacts(encoder.model, content_hash(base), before, facts), Path(folder))
        content = content_hash(Path(folder))
        copy_folder(folder, writer.uri("model"))
    writer.write_json("curve.json", state.curve)
    writer.counts.update(reviews=texts.n_reviews, items=texts.n_items)
    writer.info.update(
        texts_before=before, content=content, base=encoder.model, best_step=state.best_step, curve=state.curve,
        pairs=state.pairs, weights_tuned=n_tuned, weights=total,
    )  # fmt: skip
    if plan.config.validation_share and not state.best_step:
        logger.warning(
            "tune: no step ranks validation's queries better than the encoder as it came, which is what was written; "
            "lower tuning.learning_rate, or name other objectives"
        )


def _facts(plan: TunePlan, state: TuneState) -> dict[str, Any]:
    first, best = state.curve[0], next(row for row in state.curve if row["step"] == state.best_step)
    config = plan.config
    facts: dict[str, Any] = {
        "corpus": plan.corpus.id,
        "objectives": ", ".join(f"{name} × {weight:g}" for name, weight in config.objectives.items()),
        "pairs": ", ".join(f"{kind} {n:,}" for kind, n in state.pairs.items()) or "none",
        "method": config.method, "steps": f"{state.best_step} of {config.steps}", "batch": config.batch_size,
        "learning rate": config.learning_rate, "seed": plan.seed,
    }  # fmt: skip
    if METRIC in first:
        facts |= {f"{METRIC} as it came": f"{first[METRIC]:.4f}", f"{METRIC} tuned": f"{best[METRIC]:.4f}"}
    return facts
