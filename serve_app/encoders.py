"""Which encoder a bundle needs, and whether this server may run it."""

from dataclasses import dataclass

from llmrec.bundle import BundleFile, read_settings, refuse_untrusted_code
from llmrec.bundle_files import BundleError
from llmrec.config import EncoderConfig, ServingConfig
from llmrec.encoding import encoder_fingerprint, on_this_machine
from llmrec.registry import current
from llmrec.storage import Storage
from serve_app.hot_swap import ModelRepository


@dataclass(frozen=True)
class NeededEncoder:
    """The encoder of the bundle `version`, whose files lie here; `encoder` is its fingerprint."""

    version: str
    encoder: str
    config: EncoderConfig


def open_encoders(root: str, name: str, serving: ServingConfig) -> ModelRepository[NeededEncoder]:
    """The encoders that the bundles under the storage `root` need, CURRENT being that of the registry's `name`."""
    storage = Storage(root)
    return ModelRepository(
        lambda: str(current(storage, name)["id"]), lambda version: needed_encoder(storage, version, serving)
    )


def needed_encoder(storage: Storage, version: str, serving: ServingConfig) -> NeededEncoder:
    """The encoder of the bundle `version`. Raises ValueError where this server may not run it, or has another one."""
    artifact = storage.find("bundle", version)
    if artifact is None:
        raise BundleError(f"bundle {version!r}: not found under {storage.root}")
    settings = read_settings(artifact.root)
    refuse_untrusted_code(settings, serving.trust_remote_code)
    _refuse_elsewhere(settings, serving, storage.root)
    config = on_this_machine(settings.encoder, serving.fetch_models)
    found, expected = encoder_fingerprint(config), settings.encoder_fingerprint
    if expected and found != expected:
        raise BundleError(
            f"bundle {version}: its features come from encoder {expected}, but {settings.encoder.model!r} here has "
            f"the fingerprint {found}; expected the same weights and tokenizer. Put back the files that the bundle was "
            "made with, or run the pipeline with these"
        )
    return NeededEncoder(version, found, config)


def _refuse_elsewhere(settings: BundleFile, serving: ServingConfig, root: str) -> None:
    """A fitted encoder is read by its URI: one of another scheme would be fetched from wherever the bundle says."""
    encoder = settings.encoder
    if encoder.backend == "vllm" or serving.fetch_models or "://" not in encoder.model:
        return
    if not encoder.model.startswith(f"{root}/") or "/../" in encoder.model:
        raise BundleError(
            f"bundle {settings.id}: its encoder lies at {encoder.model!r}, outside {root!r}, which this server does "
            "not read; copy it to the storage, or set serving.fetch_models: true"
        )
