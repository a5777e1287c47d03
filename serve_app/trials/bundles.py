"""The bundles that arms name, held beside the served one."""

from llmrec.config import ServingConfig
from llmrec.storage import Storage
from serve_app.model import ServedModel, load_model


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
