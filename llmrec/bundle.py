"""A bundle: everything that serves, in one folder.

    bundle.json              settings, columns, the models by role, the encoder and its fingerprint
    models/KEY/              each model: model.json, weights.safetensors
    spec/ history/           fitted features and as-of state
    search/                  what words find items by
    probes.safetensors       what both stages answer as of the last event: what the parts must reproduce together
    README.md                the model card
    sha256.json              what each of these files holds

No file of it runs code on loading; one that does not belong there, is a link or was changed is refused.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import jinja2
import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from llmrec.bundle_files import CARD, MODELS, PROBES, SETTINGS, BundleError, bundle_folder, check_files, write_digests
from llmrec.config import EncoderConfig, RunConfig
from llmrec.config.serving.approximate import ApproximateConfig
from llmrec.encoding import encoder_config
from llmrec.features.asof.history import History
from llmrec.features.dataset.rows import load_features
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.features.families.readings import PREFIX as READ_PREFIX
from llmrec.files import read_bytes, read_json, write_bytes, write_json
from llmrec.live.log_point import LogPoint
from llmrec.models.base import Arrays, ModelContext
from llmrec.models.files.models_file import SUMMARY, ModelsFile
from llmrec.models.files.store import load_model, save_model
from llmrec.models.files.weights_file import load_arrays, save_arrays
from llmrec.recommender import FittedModels, Recommender
from llmrec.search.build import build_index
from llmrec.search.index import SearchIndex
from llmrec.storage import Artifact, Storage, artifact_id
from llmrec.variants import reads_text

FORMAT = 5
#: Users that are asked for as probes, beside the unknown one, and how long their lists are.
_PROBED, _PROBE_K = 4, 20


class BundleFile(BaseModel):
    """`bundle.json`."""

    model_config = ConfigDict(extra="forbid")
    format: int = FORMAT
    id: str = ""
    models: ModelsFile
    encoder: EncoderConfig
    encoder_fingerprint: str
    reader: dict[str, Any] | None = None  # `reading.served.ServedReader`, where a family of the models was read by one
    facts: dict[str, Any] = {}
    log: LogPoint | None = None  # what of a server's log of events it was made with


@dataclass(frozen=True)
class Bundle:
    """The models, the fitted features and the as-of state that they read, loaded and checked."""

    settings: BundleFile
    models: FittedModels
    context: ModelContext
    probes: Arrays
    card: str
    search: SearchIndex | None = None  # None: made without the corpus's texts

    @property
    def id(self) -> str:
        return self.settings.id

    @property
    def variant(self) -> str:
        """Which feature families the models read: `text` or `no_text`."""
        return self.context.variant

    @property
    def history(self) -> History:
        return self.context.history

    @property
    def encoder(self) -> EncoderConfig:
        """The encoder whose vectors the features were made from."""
        return self.settings.encoder

    @property
    def encoder_fingerprint(self) -> str:
        return self.settings.encoder_fingerprint

    def recommender(
        self, retrieve: int = 200, approximate: ApproximateConfig | None = None, clock: int | None = None
    ) -> Recommender:
        """What answers; see `Recommender`. `clock` (ms): what is known then is computed once."""
        return Recommender(self.models, self.context, retrieve=retrieve, approximate=approximate, clock=clock)

    @property
    def last_time(self) -> int:
        """The first moment (ms) at which every event of the bundle has been seen."""
        return last_time(self.history)

    def save(self, uri: str) -> None:
        """Write all files below the folder `uri`."""
        for key, model in self.models.by_key().items():
            save_model(f"{uri}/{MODELS}/{key}", model)
        self.context.spec.save(f"{uri}/spec")
        self.history.save(f"{uri}/history")
        if self.search is not None:
            self.search.save(f"{uri}/search")
        save_arrays(f"{uri}/{PROBES}", self.probes)
        write_bytes(f"{uri}/{CARD}", self.card.encode())
        write_json(f"{uri}/{SETTINGS}", self.settings.model_dump(mode="json"))
        write_digests(uri)

    @classmethod
    def load(cls, uri: str, as_context: Callable[[FeatureSpec, History, str], ModelContext] = ModelContext) -> Self:
        """Read and check the bundle in the folder `uri`, or in the artifact at `uri`.

        `as_context`: what its models ask of the past, over its features and history, as the bundle's variant reads it.

        Raises BundleError for a file that is damaged or does not belong, or settings that cannot be read; WeightsError
        (a ValueError too) for weights that are cut off, of other dimensions or not finite.
        """
        uri, artifact = bundle_folder(uri.rstrip("/"))
        check_files(uri)
        settings = read_settings(uri)
        if artifact not in (None, settings.id):
            raise BundleError(f"{uri}/{SETTINGS}: found id {settings.id!r}, expected {artifact!r}, the artifact's")
        context = as_context(FeatureSpec.load(f"{uri}/spec"), History.load(f"{uri}/history"), settings.models.variant)
        _check_columns(uri, settings.models, context)
        models = load_models(f"{uri}/{MODELS}", settings.models, context)
        card = (read_bytes(f"{uri}/{CARD}") or b"").decode()
        search = SearchIndex.load(f"{uri}/search")
        return cls(settings, models, context, load_arrays(f"{uri}/{PROBES}"), card, search)


def load_models(folder: str, file: ModelsFile, context: ModelContext) -> FittedModels:
    """The models that lie by their keys below `folder`."""
    fitted = {key: load_model(f"{folder}/{key}", context) for key in file.models}
    blender, calibrator = (load_model(f"{folder}/{role}", context) for role in ("blender", "calibrator"))
    calibrators = {name: load_model(f"{folder}/calibrator.{name}", context) for name in file.outcomes}
    return FittedModels.of_keys(fitted, blender, calibrator, file.fallback, calibrators)


def last_time(history: History) -> int:
    """The first moment (ms) after every event; 0 where there are none."""
    times = history.data.times
    return int(times[-1]) + 1 if len(times) else 0


def assemble(
    config: RunConfig, storage: Storage, test_examples: Artifact, models: Artifact, log: LogPoint | None = None
) -> Artifact:
    """Stage `bundle`: put models, fitted features, as-of state, probes and model card into one folder.

    `log`: what of a server's log the corpus was made with.
    """
    read = {"encoder": config.encoding.encoder.model_dump(), "search": config.search.model_dump()}
    if log is not None:
        read["log"] = log.model_dump(mode="json")
    parents = {"examples": test_examples.id, "models": models.id}
    made_id = artifact_id(__name__, read, parents)
    found = storage.find("bundle", made_id)
    if found:
        return found
    with storage.build("bundle", made_id, module=__name__, config=read, parents=parents) as writer:
        bundle = _put_together(config, storage, test_examples, models, made_id, log)
        bundle.save(writer.folder)
        writer.info = {
            "variant": bundle.variant, "last_time": bundle.last_time, "fingerprint": bundle.encoder_fingerprint
        }  # fmt: skip
    made = storage.find("bundle", made_id)
    assert made is not None
    return Artifact(made.root, made.manifest)


def _put_together(
    config: RunConfig, storage: Storage, examples: Artifact, models: Artifact, bundle_id: str, log: LogPoint | None
) -> Bundle:
    file = ModelsFile.model_validate(models.json(SUMMARY))
    context = ModelContext(*load_features(examples), file.variant)
    fitted = load_models(models.uri(SUMMARY).rsplit("/", 1)[0], file, context)
    embeddings = storage.find("embeddings", examples.manifest.parents.get("embeddings", "none"))
    fingerprint = str(embeddings.manifest.info["fingerprint"]) if embeddings else ""  # features without text
    encoder = encoder_config(embeddings) if embeddings else config.encoding.encoder
    facts, reader = _facts(storage, examples, context.history), _reader(storage, examples, context)
    settings = BundleFile(
        id=bundle_id, models=file, encoder=encoder, encoder_fingerprint=fingerprint, reader=reader, facts=facts,
        log=log,
    )  # fmt: skip
    corpus = storage.find("corpus", examples.manifest.parents["corpus"])
    search = None
    if corpus is not None:
        search = build_index(config.search, storage, corpus, embeddings, context.history.item_ids)
    return Bundle(settings, fitted, context, make_probes(fitted, context), model_card(settings), search)


def _reader(storage: Storage, examples: Artifact, context: ModelContext) -> dict[str, Any] | None:
    """Who read the reviews, where the models look at what was read."""
    readings = storage.find("readings", examples.manifest.parents.get("readings", "none"))
    if readings is None or not any(column.family.startswith(READ_PREFIX) for column in context.dense):
        return None
    found: dict[str, Any] = readings.json("reader.json")
    return found


def make_probes(models: FittedModels, context: ModelContext) -> Arrays:
    """What both stages answer, as of the bundle's last moment, for nobody known and for users spread over all."""
    n = len(context.history.user_ids) - 1
    asking = np.unique(np.concatenate([[0], np.linspace(min(1, n), n, _PROBED).astype(np.int64)]))
    times, recommender = np.full(len(asking), last_time(context.history)), Recommender(models, context)
    users = context.history.users_at(asking, times)
    found = recommender.retrieve(users, times, recommender.n_retrieve)
    rows, scores = recommender.order(users, times, found, _PROBE_K)
    return {
        "retrieved": found.rows[:, :_PROBE_K], "retrieval_scores": _finite(found.scores[:, :_PROBE_K]),
        "rows": rows, "scores": _finite(scores),
    }  # fmt: skip


def _finite(scores: Any) -> Any:
    return np.where(np.isneginf(scores), np.float32(-1e30), scores)


def model_card(settings: BundleFile, metrics: dict[str, Any] | None = None) -> str:
    """The model card as Markdown (after Mitchell et al., 2019); `metrics`: the evaluation's, by model, then by name."""
    source = (Path(__file__).parent / "models/model_card.md.j2").read_text(encoding="utf-8")
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True).from_string(source)
    with_text = reads_text(settings.models.variant)
    return template.render(b=settings, m=settings.models, with_text=with_text, metrics=metrics or {})


def _facts(storage: Storage, examples: Artifact, history: History) -> dict[str, Any]:
    corpus = storage.find("corpus", examples.manifest.parents["corpus"])
    return {
        "events": len(history.data.times),
        "users": len(history.user_ids) - 1,
        "items": len(history.item_ids) - 1,
        "corpus": corpus.manifest.counts if corpus else {},
        "examples": examples.manifest.counts,
        "parents": {"examples": examples.id, **examples.manifest.parents},
    }


def read_settings(uri: str) -> BundleFile:
    """`bundle.json` of the bundle in the folder `uri`, or in the artifact at `uri`. Raises BundleError."""
    uri, _ = bundle_folder(uri.rstrip("/"))
    try:
        data = read_json(f"{uri}/{SETTINGS}")
        if data is None:
            raise BundleError(f"{uri}: found no {SETTINGS}; expected a whole bundle, copy it again")
        found = data.get("format") if isinstance(data, dict) else None
        if found != FORMAT:
            raise BundleError(f"{uri}/{SETTINGS}: found format {found!r}, expected {FORMAT}; assemble the bundle again")
        return BundleFile.model_validate(data)
    except BundleError:
        raise
    except (ValidationError, ValueError) as error:
        raise BundleError(f"{uri}/{SETTINGS}: cannot be read: {error}") from None


def _check_columns(uri: str, models: ModelsFile, context: ModelContext) -> None:
    """The models must have been fitted on the columns that this FeatureSpec makes, in this order."""
    for side, columns in context.columns.items():
        found, expected = [c.name for c in columns], models.columns[side]
        if found != expected:
            differ = sorted(set(found) ^ set(expected))[:5]
            raise BundleError(
                f"{uri}/spec: makes {len(found)} {side} columns, the models expect {len(expected)} (they differ in "
                f"{differ or 'order'}); spec and weights come from different runs"
            )


def verify(bundle: Bundle) -> None:
    """Ask the bundle what it must know. Raises BundleError where an answer is missing or is not what it stored."""
    made = make_probes(bundle.models, bundle.context)
    for name, expected in bundle.probes.items():
        same = name in made and made[name].shape == expected.shape and np.allclose(made[name], expected, atol=1e-3)
        if not same:
            raise BundleError(
                f"bundle {bundle.id}: its models, features and history answer the stored probes otherwise ({name}), "
                "expected the same to 0.001; its files come from different runs: assemble it again"
            )
    known = bundle.context.interactions.known_from < bundle.last_time
    if known.any() and not bundle.probes["rows"][0, 0] > 0:
        raise BundleError(
            f"bundle {bundle.id}: recommended nothing for somebody new, expected an item with a finite score"
        )


def refuse_untrusted_code(bundle: BundleFile, trusted: bool) -> None:
    """Raise BundleError where a bundle's encoder would run code of its model's folder and that is not `trusted`."""
    if bundle.encoder.trust_remote_code and not trusted:
        raise BundleError(
            f"bundle {bundle.id}: its encoder {bundle.encoder.model!r} asks for trust_remote_code, to run code that "
            "lies in the model's folder; expected an encoder without. Set serving.trust_remote_code=true if you read "
            "that code: a bundle cannot allow it"
        )
