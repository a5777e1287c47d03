"""The stage `train`: examples in, both models out."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.torch import save

from llmrec.config import RunConfig
from llmrec.features.families.columns import FeatureColumn, FeatureSelection
from llmrec.files import delete_folder, write_bytes
from llmrec.models.blender import ClickModel, ScoreBlender, fit_score_blender, log_popularity
from llmrec.models.modelfile import ModelFile, ScoreBlenderFile
from llmrec.models.retrieval import Retriever
from llmrec.models.topk import top_k
from llmrec.schema import id_hash
from llmrec.storage import Artifact, ArtifactWriter, Storage, artifact_id
from llmrec.training.data import load_features, read_examples
from llmrec.training.fit import Fold, Plan, Progress, run_plans
from llmrec.training.process_group import ProcessGroup
from llmrec.training.validation import Queries, ranking_metrics

logger = logging.getLogger(__name__)


def train(
    config: RunConfig, storage: Storage, validation_examples: Artifact, test_examples: Artifact, variants: Sequence[str]
) -> dict[str, Artifact]:
    """Stage `models` for each of the variants, `text` or `no_text`.

    Each model is fitted on fold `validation`'s split train, early stopping choosing the number of epochs, then anew on
    fold `test`'s split train. The second stage's weights are fitted on the validation clicks with the models that have
    not seen them. `curves.json` holds the loss and the validation metrics of every epoch.
    """
    parents = {"validation": validation_examples.id, "test": test_examples.id}
    read = {variant: _read_by(config, variant) for variant in variants}
    ids = {variant: artifact_id(__name__, read[variant], parents) for variant in variants}
    missing = [variant for variant in variants if storage.find("models", ids[variant]) is None]
    if missing:
        run = "-".join(ids[variant] for variant in missing)
        with ExitStack() as stack:
            writers = {
                variant: stack.enter_context(
                    storage.build("models", ids[variant], module=__name__, config=read[variant], parents=parents)
                )
                for variant in missing
            }
            _fit(config, storage, (validation_examples, test_examples), writers, run)
        delete_folder(f"{storage.root}/train_runs/{run}")  # not before all is committed
    found = {variant: storage.find("models", ids[variant]) for variant in variants}
    return {
        variant: Artifact(a.root, a.manifest, reused=variant not in missing)
        for variant, a in found.items()
        if a is not None
    }


def _read_by(config: RunConfig, variant: str) -> dict[str, Any]:
    return {
        "training": config.training.model_dump(exclude={"max_failures"}), "seed": config.seed, "variant": variant,
        "retrieve": config.evaluation.retrieve,
    }  # fmt: skip


def _fit(
    config: RunConfig, storage: Storage, folds: tuple[Artifact, Artifact], writers: dict[str, ArtifactWriter], run: str
) -> None:
    """Fit the variants of `writers`, all in one run, and write what each gave."""
    plans = {
        variant: Plan(make_fold(config, folds[0], variant), make_fold(config, folds[1], variant), config.seed)
        for variant in writers
    }
    if config.training.workers == 0:
        progress = run_plans(plans, ProcessGroup(), {}, lambda progress: None)
    else:
        from llmrec.training.distributed import TrainRun, run_on_ray  # Ray only where it is used

        progress = run_on_ray(plans, config.training, TrainRun(f"{storage.root}/train_runs", run))
    for variant, writer in writers.items():
        _write(plans[variant], progress[variant], config.evaluation.retrieve, writer)


def _write(plan: Plan, progress: Progress, n_retrieve: int, writer: ArtifactWriter) -> None:
    blender, validated = _second_stage(plan.validation, progress, n_retrieve)
    file = _finished(plan.test.file, progress, blender, validated)
    for model in ("two_tower", "ranker"):
        write_bytes(writer.uri(f"{model}.safetensors"), save(progress[f"{model}.test"].model))
    writer.write_json("models.json", file.model_dump())
    writer.write_json("curves.json", _curves(progress))
    writer.info = {"variant": file.variant, "chosen_epochs": file.chosen_epochs, "validation": file.validation}


def make_fold(config: RunConfig, examples: Artifact, variant: str) -> Fold:
    """A fold's examples with the sizes that both models of a variant have there."""
    spec, _ = load_features(examples)
    chosen = spec.columns_of(variant)
    file = ModelFile(
        variant=variant, two_tower=config.training.two_tower, ranker=config.training.ranker,
        n_users=spec.n_users, n_items=spec.n_items, history_length=config.features.history_length,
        user_columns=[spec.user_columns[i].name for i in chosen.user],
        item_columns=[spec.item_columns[i].name for i in chosen.item],
        pair_columns=[spec.pair_columns[i].name for i in chosen.pair],
        user_families=_families(spec.user_columns, chosen.user),
        item_families=_families(spec.item_columns, chosen.item),
        blender=_as_file(ScoreBlender.prior_correction(config.features.popularity_days)),
    )  # fmt: skip
    return Fold(examples, file)


def _families(columns: list[FeatureColumn], chosen: npt.NDArray[np.int64]) -> dict[str, list[int]]:
    """FitRows, after the selection, of each family's columns."""
    families: dict[str, list[int]] = defaultdict(list)
    for place, column in enumerate(chosen):
        families[columns[int(column)].family].append(place)
    return dict(families)


def _finished(file: ModelFile, progress: Progress, blender: ScoreBlender, validated: dict[str, Any]) -> ModelFile:
    best = {m: progress[f"{m}.validation"] for m in ("two_tower", "ranker")}
    metrics = {
        m: {k: v for k, v in s.curve[s.best_epoch - 1].items() if k not in ("epoch", "loss")} for m, s in best.items()
    }
    return file.model_copy(
        update={
            "chosen_epochs": {m: s.best_epoch for m, s in best.items()},
            "validation": metrics | validated,
            "blender": _as_file(blender),
        }
    )


def _as_file(blender: ScoreBlender) -> ScoreBlenderFile:
    return ScoreBlenderFile(weights=dict(zip(blender.columns, blender.weights, strict=True)), fallback=blender.fallback)


def _curves(progress: Progress) -> dict[str, Any]:
    curves: dict[str, dict[str, Any]] = defaultdict(dict)
    for key, state in progress.items():
        model, fold = key.split(".")
        curves[model][fold] = state.curve
    return curves


def _second_stage(fold: Fold, progress: Progress, n_retrieve: int) -> tuple[ScoreBlender, dict[str, dict[str, float]]]:
    """Fit `ScoreBlender` on the validation clicks, with the models of the chosen epochs, fitted before them."""
    spec, history = load_features(fold.examples)
    selection: FeatureSelection = spec.columns_of(fold.file.variant)
    towers, ranker = fold.file.make_two_tower(), fold.file.make_ranker()
    towers.load_state_dict(progress["two_tower.validation"].best)
    ranker.load_state_dict(progress["ranker.validation"].best)
    clicks = read_examples(
        fold.examples, "validation", selection, fold.file.history_length, clicks_only=True, with_pairs=False
    )
    queries = Queries.of(history, clicks)
    retriever, model = Retriever(towers, spec, history, selection), ClickModel(ranker, spec, history, selection)
    start, validated = _fallback(fold.file.make_blender(), retriever, queries)
    rows, scores = retriever.retrieve(queries.users, queries.times, n_retrieve)
    values, targets = [], []
    for q in np.flatnonzero((rows == queries.targets[:, None]).any(axis=1)):
        found = rows[q] >= 0
        user = queries.users.take(np.array([q]))
        values.append(model.columns(user, rows[q, found], scores[q, found], int(queries.times[q])))
        targets.append(int(np.flatnonzero(rows[q] == queries.targets[q])[0]))
    return fit_score_blender(values, targets, start), validated


def _fallback(
    start: ScoreBlender, retriever: Retriever, queries: Queries
) -> tuple[ScoreBlender, dict[str, dict[str, float]]]:
    """`start` with the popularity column that ranks the validation clicks best."""
    history, metrics = retriever.history, {}
    columns = start.columns[2:]
    lists = np.full((len(columns), len(queries), 50), -1, np.int64)
    everything = np.arange(len(history.item_ids))
    for time in np.unique(queries.times):
        part = np.flatnonzero(queries.times == time)
        users = queries.users.take(part)
        hashes = id_hash([history.user_ids[r] for r in users.rows])
        popular = log_popularity(history.item_counts(everything, np.full(len(everything), time)))
        allowed = retriever.candidates(users, queries.times[part])
        for c in range(len(columns)):
            scores = np.where(allowed, popular[:, c].astype(np.float32), np.float32(-np.inf))
            lists[c, part] = top_k(scores, 50, hashes, retriever.item_hash)[0]
    metrics = {name: ranking_metrics(lists[c], queries.targets) for c, name in enumerate(columns)}
    best = max(columns, key=lambda name: metrics[name]["ndcg@50"])  # the measure that chose the towers' epochs
    return ScoreBlender(start.columns, start.weights, best), metrics
