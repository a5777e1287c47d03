"""The bundles that arms name, held beside the served one."""

from llmrec.config import ServingConfig
from llmrec.config.serving.experiments import ArmConfig, ExperimentConfig
from llmrec.storage import Storage
from serve_app.model import ServedModel, load_model


def with_variants(storage: Storage, current: str, serving: ServingConfig) -> ServingConfig:
    """The configuration with the ids of the bundles that arms name by `variant`.

    Raises ValueError where the run of the bundle `current` made none of a variant.
    """

    def named(arm: ArmConfig) -> ArmConfig:
        if arm.variant is None:
            return arm
        return arm.model_copy(update={"bundle": bundle_of(storage, current, arm.variant), "variant": None})

    def resolved(experiment: ExperimentConfig) -> ExperimentConfig:
        return experiment.model_copy(update={"arms": {name: named(arm) for name, arm in experiment.arms.items()}})

    experiments = {name: resolved(experiment) for name, experiment in serving.experiments.items()}
    return serving.model_copy(update={"experiments": experiments})


def bundle_of(storage: Storage, current: str, variant: str) -> str:
    """The id of the last bundle of a variant that was made from the same features as the bundle `current`."""
    served = storage.find("bundle", current)
    made = [artifact for name in storage.ids("bundle") if (artifact := storage.find("bundle", name)) is not None]
    same = [
        artifact for artifact in made
        if served is not None and artifact.manifest.parents.get("examples") == served.manifest.parents.get("examples")
        and artifact.manifest.info.get("variant") == variant
    ]  # fmt: skip
    if not same:
        raise ValueError(
            f"serving.experiments: found no bundle of variant {variant!r} from the features of the served one, "
            f"{current}; expected what jobs.pipeline makes: run it, or name a bundle"
        )
    return max(same, key=lambda artifact: artifact.manifest.created_unix).id


def arms_bundles(storage: Storage, current: ServedModel, serving: ServingConfig) -> tuple[str, ...]:
    """The bundles that arms name. Raises ValueError for one that must not serve, or has another encoder."""
    arms = [arm for experiment in serving.experiments.values() for arm in experiment.arms.values()]
    found = tuple(dict.fromkeys(arm.bundle for arm in arms if arm.bundle is not None))
    for version in found:
        encoder = load_model(storage, version, serving.retrieve).encoder
        if encoder not in (None, current.encoder):
            raise ValueError(
                f"serving.experiments: bundle {version} has the encoder {encoder}, the served one {current.encoder}; "
                "expected the same, which encodes what requests say, or none"
            )
    return found
