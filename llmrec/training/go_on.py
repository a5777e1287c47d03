"""The stage `train` of a bundle that goes on: networks from its weights, all else fitted anew with its settings."""

from collections.abc import Mapping
from typing import Any

from llmrec.bundle_files import MODELS, SETTINGS, bundle_folder
from llmrec.config import RunConfig
from llmrec.config.models import ModelConfig, model_config
from llmrec.files import delete_folder, read_json
from llmrec.models.files.models_file import SUMMARY, ModelsFile
from llmrec.models.files.store import load_model, make_model, save_model
from llmrec.storage import Artifact, ArtifactWriter, Storage, artifact_id
from llmrec.training.closed_form import Fitted, fit_model
from llmrec.training.fit import Plan, load_context, role_of
from llmrec.training.stage import curves_of, fit_networks, fitted_model, is_network, modules_named
from llmrec.training.warm_start import WarmStart


def go_on(config: RunConfig, storage: Storage, examples: Artifact, bundle: Artifact) -> Artifact:
    """Stage `models`: those of `bundle` on the fold `test` of `examples`, whose features continue the bundle's.

    Networks pass `refresh.epochs` times over all training rows, old ones too, so that what was learned is not
    forgotten; who is new begins as the unknown one. Closed forms, trees and networks that no `fit_task` fits are fitted
    anew, with what validation chose for the bundle. Blender, calibrator and fallback are the bundle's.
    """
    folder, _ = bundle_folder(bundle.root)
    before = ModelsFile.model_validate((read_json(f"{folder}/{SETTINGS}") or {})["models"])
    models = {key: model_config(role_of(key), settings) for key, settings in before.models.items()}
    second = {role: str((read_json(f"{folder}/{MODELS}/{role}/model.json") or {})["name"])
              for role in ("blender", "calibrator")}  # fmt: skip
    read = {"epochs": config.refresh.epochs, "seed": config.seed}
    parents = {"examples": examples.id, "bundle": bundle.id}
    also = modules_named({(role_of(key), c.name) for key, c in models.items()} | set(second.items()))  # type: ignore[arg-type]
    made = artifact_id(__name__, read, parents, also)
    if (found := storage.find("models", made)) is not None:
        return found
    with storage.build("models", made, module=__name__, config=read, parents=parents, also=also) as writer:
        _fit(config, storage, (folder, before), models, examples, writer, made)
    delete_folder(f"{storage.root}/train_runs/{made}")
    finished = storage.find("models", made)
    assert finished is not None
    return Artifact(finished.root, finished.manifest)


def _fit(
    config: RunConfig, storage: Storage, bundle: tuple[str, ModelsFile], models: Mapping[str, ModelConfig],
    examples: Artifact, writer: ArtifactWriter, run: str,
) -> None:  # fmt: skip
    folder, before = bundle
    networks = {key: c for key, c in models.items() if is_network(role_of(key), c.name)}
    warm = WarmStart(folder, config.refresh.epochs)
    plan = Plan(networks, None, examples, before.variant, config.seed, warm)
    others = _fit_others(config, plan, {key: c for key, c in models.items() if key not in networks})
    progress = fit_networks(config, storage, {before.variant: plan}, run)[before.variant]
    context = load_context(examples, before.variant)
    for key, c in models.items():
        save_model(writer.uri(key), fitted_model(key, c, progress, others, context, "test"))
    for role in ("blender", "calibrator", *(f"calibrator.{name}" for name in before.outcomes)):
        save_model(writer.uri(role), load_model(f"{folder}/{MODELS}/{role}", context))
    writer.write_json(SUMMARY, before.model_dump())
    writer.write_json("curves.json", curves_of(progress))
    writer.info = {"variant": before.variant, "warm": sorted(networks), "fitted_anew": sorted(others)}


def _fit_others(config: RunConfig, plan: Plan, models: Mapping[str, ModelConfig]) -> dict[str, Fitted]:
    from llmrec.tasks import parallel_map

    asked = [(key, c, plan) for key, c in models.items()]
    local = config.training.workers == 0
    fitted = parallel_map(fit_last_fold, asked, stage="train", local=local) if asked else []
    return dict(zip(models, fitted, strict=True))


def fit_last_fold(key: str, config: Any, plan: Plan) -> Fitted:
    """Fit on fold `test` with the settings as they are."""
    model = make_model(role_of(key), config, load_context(plan.test, plan.variant))
    fit_model(model, plan.test, plan.seed, validate=False)
    return Fitted(config, {}, {"test": model.state()})
