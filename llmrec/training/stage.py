"""The stage `train`: examples in, the models of a bundle out."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from llmrec.catalogue import Role, model_class, module_of
from llmrec.config import ModelConfig, RunConfig
from llmrec.files import delete_folder
from llmrec.models.base import Model, ModelContext
from llmrec.models.files.models_file import SUMMARY, ModelsFile
from llmrec.models.files.store import fit_data, make_model, save_model
from llmrec.models.networks.weights import from_arrays
from llmrec.storage import Artifact, ArtifactWriter, Storage, artifact_id
from llmrec.tracking import Tracked
from llmrec.training.closed_form import Fitted, fit_both_folds
from llmrec.training.fit import Plan, Progress, load_context, models_of, role_of, run_plans
from llmrec.training.second_stage import fit_second_stage
from llmrec.workers.loop import TrainRun
from llmrec.workers.process_group import ProcessGroup

logger = logging.getLogger(__name__)


def train(
    config: RunConfig, storage: Storage, validation_examples: Artifact, test_examples: Artifact, variants: Sequence[str]
) -> dict[str, Artifact]:
    """Stage `models` for each of the variants.

    Each model is fitted on fold `validation`'s split train, validation choosing epochs and the like, then anew on fold
    `test`'s split train. The blender is fitted on the validation clicks with the models that have not seen them.
    `curves.json` holds the loss and the validation metrics of every epoch of a network.
    """
    parents = {"validation": validation_examples.id, "test": test_examples.id}
    read = {variant: _read_by(config, variant) for variant in variants}
    also = modules_of(config)
    ids = {variant: artifact_id(__name__, read[variant], parents, also) for variant in variants}
    missing = [variant for variant in variants if storage.find("models", ids[variant]) is None]
    if missing:
        run = "-".join(ids[variant] for variant in missing)
        with ExitStack() as stack:
            writers = {
                variant: stack.enter_context(
                    storage.build(
                        "models", ids[variant], module=__name__, config=read[variant], parents=parents, also=also
                    )
                )
                for variant in missing
            }
            _fit(config, storage, (validation_examples, test_examples), writers, run)
        delete_folder(f"{storage.root}/train_runs/{run}")  # not before all is committed
    found = {variant: storage.find("models", ids[variant]) for variant in variants}
    made = {variant: a for variant, a in found.items() if a is not None}
    return {variant: Artifact(a.root, a.manifest, reused=variant not in missing) for variant, a in made.items()}


def _read_by(config: RunConfig, variant: str) -> dict[str, Any]:
    return {
        "training": config.training.model_dump(mode="json", exclude={"max_failures"}), "seed": config.seed,
        "variant": variant, "retrieve": config.evaluation.retrieve,
    }  # fmt: skip


def modules_of(config: RunConfig) -> tuple[str, ...]:
    """The modules of the models that a run names: its stage `train` depends on them, and on no other model's."""
    t = config.training
    second: set[tuple[Role, str]] = {("blender", t.blender.name), ("calibrator", t.calibrator.name)}
    named = {(role_of(key), part.name) for key, c in models_of(t).items() for part in _whole(role_of(key), c)}
    return modules_named(named | second)


def _whole(role: Role, config: ModelConfig) -> Iterator[ModelConfig]:
    """A model and, level by level, those that it is made of."""
    yield config
    for part in model_class(role, config.name).parts(config):
        yield from _whole(role, part)


def modules_named(named: set[tuple[Role, str]]) -> tuple[str, ...]:
    """The modules of models by role and name."""
    return tuple(sorted(module_of(role, name) for role, name in named))


def is_network(role: Role, name: str) -> bool:
    """Whether Ray Train fits the model epoch by epoch."""
    return model_class(role, name).fit_task is not Model.fit_task


def _fit(
    config: RunConfig, storage: Storage, folds: tuple[Artifact, Artifact], writers: dict[str, ArtifactWriter], run: str
) -> None:
    """Fit the variants of `writers`, their networks all in one run, and write what each gave."""
    plans = {variant: make_plan(config, *folds, variant) for variant in writers}
    if not _room_beside(config.training.workers):
        others, progress = _fit_others(plans, config), fit_networks(config, storage, plans, run)
    else:
        with ThreadPoolExecutor(1, "others") as beside:
            fitting = beside.submit(_fit_others, plans, config)
            progress = fit_networks(config, storage, plans, run)
            others = fitting.result()
    for variant, writer in writers.items():
        logger.info("train: %s: the blend, its guard and the fallback, on validation's queries", variant)
        _write(config, plans[variant], progress[variant], others[variant], writer)


def _room_beside(workers: int) -> bool:
    """Whether tasks can run while so many workers of Ray Train do: they would wait for CPUs that these hold."""
    if not workers:
        return False
    from llmrec.tasks import cluster_cpus  # Ray, only where it is used

    return cluster_cpus() > workers


def fit_networks(config: RunConfig, storage: Storage, plans: Mapping[str, Plan], run: str) -> dict[str, Progress]:
    """Run the plans, by variant, here or on Ray Train, where a run of the same name goes on from its checkpoint."""
    if not any(plan.models for plan in plans.values()):
        return {variant: {} for variant in plans}
    tracked = Tracked.of(config, run, "features", "training")
    if config.training.workers == 0:
        return run_plans(plans, ProcessGroup(), {}, lambda progress: None, tracked)
    from llmrec.training.distributed import run_on_ray  # Ray only where it is used

    return run_on_ray(plans, config.training, TrainRun(f"{storage.root}/train_runs", run), tracked)


def make_plan(config: RunConfig, validation: Artifact, test: Artifact, variant: str) -> Plan:
    """The networks that a run fits for a variant."""
    models = models_of(config.training).items()
    networks = {key: c for key, c in models if is_network(role_of(key), c.name)}
    return Plan(networks, validation, test, variant, config.seed)


def _fit_others(plans: Mapping[str, Plan], config: RunConfig) -> dict[str, dict[str, Fitted]]:
    """Variant -> key -> what a Ray task fitted, or this process."""
    from llmrec.tasks import parallel_map

    models = models_of(config.training).items()
    asked = [(key, c, plan) for plan in plans.values() for key, c in models if key not in plan.models]
    fitted = parallel_map(fit_both_folds, asked, stage="train", local=config.training.workers == 0) if asked else []
    found: dict[str, dict[str, Fitted]] = {variant: {} for variant in plans}
    for (key, _, plan), made in zip(asked, fitted, strict=True):
        found[plan.variant][key] = made
    return found


def _write(
    config: RunConfig, plan: Plan, progress: Progress, others: Mapping[str, Fitted], writer: ArtifactWriter
) -> None:
    keys, chosen = models_of(config.training), _chosen(progress, others)
    assert plan.validation is not None
    early, context = load_context(plan.validation, plan.variant), load_context(plan.test, plan.variant)
    before = {key: fitted_model(key, c, progress, others, early, "validation") for key, c in keys.items()}
    second = fit_second_stage(config.training, plan.validation, early, before, config.evaluation.retrieve)
    final = {key: fitted_model(key, c, progress, others, context, "test") for key, c in keys.items()}
    calibrators = {f"calibrator.{name}": model for name, model in second.calibrators.items()}
    for key, model in {
        **final, **calibrators, "blender": second.blender, "calibrator": second.calibrator
    }.items():  # fmt: skip
        save_model(writer.uri(key), model)
    columns = {side: [c.name for c in found] for side, found in context.columns.items()}
    families = {side: list(dict.fromkeys(c.family for c in found)) for side, found in context.columns.items()}
    file = ModelsFile(
        variant=plan.variant, models={key: m.config.model_dump(mode="json") for key, m in final.items()},
        columns=columns, families=families, chosen=chosen, validation=_validated(progress) | second.metrics,
        blender=dict(second.blender.weights), fallback=second.fallback, outcomes=list(second.calibrators),
        guarded=second.guarded,
    )  # fmt: skip
    writer.write_json(SUMMARY, file.model_dump())
    writer.write_json("curves.json", curves_of(progress))
    writer.info = {"variant": file.variant, "chosen": chosen, "validation": file.validation}


def fitted_model(
    key: str, config: Any, progress: Progress, others: Mapping[str, Fitted], context: ModelContext, fold: str
) -> Any:
    """A model as fitted on a fold: of a network, on fold `validation`, that of the best epoch."""
    if key in others:
        model = make_model(role_of(key), others[key].config, context)
        model.restore(others[key].arrays[fold], fit_data(context, model))
        return model
    state, model = progress[f"{key}.{fold}"], make_model(role_of(key), config, context)
    weights = state.best if fold == "validation" else state.model
    from_arrays(model.net, {name: w.numpy() for name, w in weights.items()})
    return model


def _chosen(progress: Progress, others: Mapping[str, Fitted]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {
        key.removesuffix(".validation"): {"epochs": s.best_epoch}
        for key, s in progress.items() if key.endswith(".validation")
    }  # fmt: skip
    found |= {key: made.chosen for key, made in others.items()}
    return found


def _validated(progress: Progress) -> dict[str, dict[str, float]]:
    """Key -> what the best epoch of a network reached on validation rows."""
    best = {key.removesuffix(".validation"): s for key, s in progress.items() if key.endswith(".validation")}
    return {
        key: {k: v for k, v in s.curve[s.best_epoch - 1].items() if k not in ("epoch", "loss")}
        for key, s in best.items()
    }


def curves_of(progress: Progress) -> dict[str, Any]:
    """Model -> fold -> what each epoch reported."""
    curves: dict[str, dict[str, Any]] = defaultdict(dict)
    for key, state in progress.items():
        model, _, fold = key.rpartition(".")
        curves[model][fold] = state.curve
    return curves
