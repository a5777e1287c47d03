"""A bundle: everything that serves, in one folder, and the registry whose CURRENT names the one in use.

    bundle.json                settings, sizes, second stage, encoder and its fingerprint
    two_tower.safetensors      weights
    ranker.safetensors         weights
    item_vectors.safetensors   (n_items + 1, vector_dim) as of the last event: what the parts must reproduce together
    spec/ history/             fitted features and as-of state
    README.md                  the model card

No file of it runs code on loading, and a file that does not belong there is refused.
"""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import jinja2
import numpy as np
import numpy.typing as npt
import pyarrow.fs as pafs
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from llmrec.config import EncoderConfig, RunConfig
from llmrec.encoding import encoder_config
from llmrec.features.asof.history import History
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.files import filesystem, read_bytes, read_json, write_bytes, write_json
from llmrec.models.blender import ScoreBlender
from llmrec.models.modelfile import ModelFile
from llmrec.models.ranker import Ranker
from llmrec.models.retrieval import Retriever
from llmrec.models.two_tower import TwoTower
from llmrec.models.weights import load_weights, save_weights
from llmrec.storage import MANIFEST, Artifact, Manifest, Storage, artifact_id
from llmrec.training.data import load_features

FORMAT = 2
CARD = "README.md"
_SETTINGS, _TOWERS, _RANKER, _VECTORS = (
    "bundle.json", "two_tower.safetensors", "ranker.safetensors", "item_vectors.safetensors",
)  # fmt: skip
_BELONGS = re.compile(
    rf"({re.escape(_SETTINGS)}|{_TOWERS}|{_RANKER}|{_VECTORS}|{CARD}|(spec|history)/([\w-]+/)?[\w-]+\.(json|safetensors|npy|arrow))"
)
_NAME = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*")


class BundleError(ValueError):
    """A bundle that must not serve; the message names the file, what was found and what was expected."""


class BundleFile(BaseModel):
    """`bundle.json`."""

    model_config = ConfigDict(extra="forbid")
    format: int = FORMAT
    id: str = ""
    models: ModelFile
    encoder: EncoderConfig
    encoder_fingerprint: str
    facts: dict[str, Any] = {}


@dataclass(frozen=True)
class Bundle:
    """Two models, the fitted features and the as-of state they read, loaded and checked."""

    settings: BundleFile
    two_tower: TwoTower
    ranker: Ranker
    spec: FeatureSpec
    history: History
    item_vectors: npt.NDArray[np.float32]  # (n_items + 1, vector_dim) as of `last_time`
    card: str

    @property
    def id(self) -> str:
        return self.settings.id

    @property
    def variant(self) -> str:
        """Which feature families the models read: `text` or `no_text`."""
        return self.settings.models.variant

    @property
    def encoder(self) -> EncoderConfig:
        """The encoder whose vectors the features were made from."""
        return self.settings.encoder

    @property
    def encoder_fingerprint(self) -> str:
        return self.settings.encoder_fingerprint

    @property
    def blender(self) -> ScoreBlender:
        """The second stage's weights."""
        return self.settings.models.make_blender()

    @property
    def last_time(self) -> int:
        """The first moment (ms) at which every event of the bundle has been seen."""
        return last_time(self.history)

    def save(self, uri: str) -> None:
        """Write all files below the folder `uri`."""
        save_weights(f"{uri}/{_TOWERS}", self.two_tower.state_dict())
        save_weights(f"{uri}/{_RANKER}", self.ranker.state_dict())
        write_bytes(f"{uri}/{_VECTORS}", save_arrays({"item_vectors": np.ascontiguousarray(self.item_vectors)}))
        self.spec.save(f"{uri}/spec")
        self.history.save(f"{uri}/history")
        write_bytes(f"{uri}/{CARD}", self.card.encode())
        write_json(f"{uri}/{_SETTINGS}", self.settings.model_dump())

    @classmethod
    def load(cls, uri: str) -> Self:
        """Read and check the bundle in the folder `uri`, or in the artifact at `uri`.

        Raises BundleError for a file that does not belong, settings that cannot be read, item vectors that do not fit;
        WeightsError (a ValueError too) for weights that are cut off, of other dimensions or not finite.
        """
        uri = _folder(uri.rstrip("/"))
        _refuse_strangers(uri)
        settings = _read_settings(uri)
        towers, ranker = settings.models.make_two_tower(), settings.models.make_ranker()
        load_weights(towers, f"{uri}/{_TOWERS}")
        load_weights(ranker, f"{uri}/{_RANKER}")
        spec, history = FeatureSpec.load(f"{uri}/spec"), History.load(f"{uri}/history")
        _check_columns(uri, settings.models, spec)
        vectors = _read_item_vectors(uri, (len(history.item_ids), towers.vector_dim))
        card = (read_bytes(f"{uri}/{CARD}") or b"").decode()
        return cls(settings, towers.eval(), ranker.eval(), spec, history, vectors, card)


def last_time(history: History) -> int:
    """The first moment (ms) after every event; 0 where there are none."""
    times = history.data.times
    return int(times[-1]) + 1 if len(times) else 0


def assemble(config: RunConfig, storage: Storage, test_examples: Artifact, models: Artifact) -> Artifact:
    """Stage `bundle`: put weights, fitted features, as-of state, item vectors and model card into one folder."""
    read = {"encoder": config.encoding.encoder.model_dump()}
    parents = {"examples": test_examples.id, "models": models.id}
    made_id = artifact_id(__name__, read, parents)
    found = storage.find("bundle", made_id)
    if found:
        return found
    with storage.build("bundle", made_id, module=__name__, config=read, parents=parents) as writer:
        bundle = _put_together(config, storage, test_examples, models, made_id)
        bundle.save(writer.folder)
        writer.info = {
            "variant": bundle.variant,
            "last_time": bundle.last_time,
            "fingerprint": bundle.encoder_fingerprint,
        }
    made = storage.find("bundle", made_id)
    assert made is not None
    return Artifact(made.root, made.manifest)


def _put_together(config: RunConfig, storage: Storage, examples: Artifact, models: Artifact, bundle_id: str) -> Bundle:
    file = ModelFile.model_validate(models.json("models.json"))
    towers, ranker = file.make_two_tower(), file.make_ranker()
    load_weights(towers, models.uri(_TOWERS))
    load_weights(ranker, models.uri(_RANKER))
    spec, history = load_features(examples)
    embeddings = storage.find("embeddings", examples.manifest.parents.get("embeddings", "none"))
    fingerprint = str(embeddings.manifest.info["fingerprint"]) if embeddings else ""  # features without text
    encoder = encoder_config(embeddings) if embeddings else config.encoding.encoder
    facts = _facts(storage, examples, history)
    settings = BundleFile(id=bundle_id, models=file, encoder=encoder, encoder_fingerprint=fingerprint, facts=facts)
    return Bundle(settings, towers, ranker, spec, history, make_item_vectors(towers, spec, history, file.variant),
                  model_card(settings))  # fmt: skip


def make_item_vectors(towers: TwoTower, spec: FeatureSpec, history: History, variant: str) -> npt.NDArray[np.float32]:
    """(n_items + 1, vector_dim) as of the bundle's last moment."""
    return (
        Retriever(towers, spec, history, spec.columns_of(variant), refresh_ms=1).item_index(last_time(history)).vectors
    )


def model_card(settings: BundleFile, metrics: dict[str, Any] | None = None) -> str:
    """The model card as Markdown (after Mitchell et al., 2019); `metrics`: the evaluation's, by model, then by name."""
    source = (Path(__file__).parent / "models/model_card.md.j2").read_text(encoding="utf-8")
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True).from_string(source)
    return template.render(b=settings, m=settings.models, metrics=metrics or {})


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


def _folder(uri: str) -> str:
    """The folder that holds the bundle's files; an artifact's root names it in its manifest."""
    data = read_json(f"{uri}/{MANIFEST}")
    if data is None:
        return uri
    return Artifact(uri, Manifest.model_validate(data)).uri(_SETTINGS).rsplit("/", 1)[0]


def _refuse_strangers(uri: str) -> None:
    fs, base = filesystem(uri)
    infos = fs.get_file_info(pafs.FileSelector(base, recursive=True, allow_not_found=True))
    names = sorted(i.path[len(base) :].lstrip("/") for i in infos if i.type != pafs.FileType.Directory)
    if not names:
        raise BundleError(f"{uri}: found no files, expected a bundle; `python -m jobs.train` makes one")
    strangers = [n for n in names if not _BELONGS.fullmatch(n)]
    if strangers:
        raise BundleError(
            f"{uri}: found {strangers[:5]}, which do not belong to a bundle; expected {_SETTINGS}, *.safetensors, "
            f"{CARD}, spec/ and history/. Delete them if you know where they come from"
        )


def _read_settings(uri: str) -> BundleFile:
    try:
        data = read_json(f"{uri}/{_SETTINGS}")
        if data is None:
            raise BundleError(f"{uri}: found no {_SETTINGS}; expected a whole bundle, copy it again")
        found = data.get("format") if isinstance(data, dict) else None
        if found != FORMAT:
            raise BundleError(
                f"{uri}/{_SETTINGS}: found format {found!r}, expected {FORMAT}; assemble the bundle again"
            )
        return BundleFile.model_validate(data)
    except BundleError:
        raise
    except (ValidationError, ValueError) as error:
        raise BundleError(f"{uri}/{_SETTINGS}: cannot be read: {error}") from None


def _check_columns(uri: str, models: ModelFile, spec: FeatureSpec) -> None:
    """The models must have been fitted on the columns that this FeatureSpec makes, in this order."""
    chosen = spec.columns_of(models.variant)
    for side, columns, index, expected in (
        ("user", spec.user_columns, chosen.user, models.user_columns),
        ("item", spec.item_columns, chosen.item, models.item_columns),
        ("pair", spec.pair_columns, chosen.pair, models.pair_columns),
    ):
        found = [columns[int(i)].name for i in index]
        if found != expected:
            differ = sorted(set(found) ^ set(expected))[:5]
            raise BundleError(
                f"{uri}/spec: makes {len(found)} {side} columns, the models expect {len(expected)} (they differ in "
                f"{differ or 'order'}); spec and weights come from different runs"
            )


def _read_item_vectors(uri: str, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    data = read_bytes(f"{uri}/{_VECTORS}")
    if data is None:
        raise BundleError(f"{uri}: found no {_VECTORS}; expected a whole bundle, copy it again")
    try:
        vectors = load_arrays(data)["item_vectors"]
    except (SafetensorError, KeyError) as error:
        raise BundleError(f"{uri}/{_VECTORS}: not a whole safetensors file of item_vectors ({error})") from None
    if vectors.shape != shape:
        raise BundleError(f"{uri}/{_VECTORS}: found shape {vectors.shape}, expected {shape} (items, two-tower vector)")
    if not np.isfinite(vectors).all():
        raise BundleError(f"{uri}/{_VECTORS}: holds NaN or infinity; expected finite numbers")
    return np.asarray(vectors, np.float32)


def verify(bundle: Bundle) -> None:
    """Ask the bundle what it must know. Raises BundleError where an answer is missing or is not what it stored."""
    made = make_item_vectors(bundle.two_tower, bundle.spec, bundle.history, bundle.variant)
    worst = float(np.abs(made - bundle.item_vectors).max(initial=0))
    if not worst < 1e-3:
        raise BundleError(
            f"bundle {bundle.id}: its weights, features and history make item vectors that differ by {worst:.3g} from "
            "the stored ones, expected less than 0.001; its files come from different runs: assemble it again"
        )
    retriever = Retriever(bundle.two_tower, bundle.spec, bundle.history, bundle.spec.columns_of(bundle.variant))
    moment = np.array([bundle.last_time])
    known = bundle.history.known_items(bundle.last_time).any()
    rows, scores = retriever.retrieve(bundle.history.users_at(np.zeros(1, np.int64), moment), moment, 1)
    if known and not (rows[0, 0] > 0 and np.isfinite(scores[0, 0])):
        raise BundleError(
            f"bundle {bundle.id}: retrieved nothing for somebody new, expected an item with a finite score"
        )


def publish(storage: Storage, bundle: Artifact, name: str) -> dict[str, Any]:
    """Let `ROOT/registry/NAME/CURRENT` name this bundle, once it has been loaded and has answered.

    Returns the pointer: bundle (relative to ROOT), uri, id, sequence, published_unix, previous (a sequence, or None).
    Raises BundleError or WeightsError, CURRENT being untouched. Publishing what is current already changes nothing.
    """
    verify(Bundle.load(bundle.root))
    now = _pointer(storage, name, "CURRENT")
    if now and now["id"] == bundle.id:
        return _with_uri(storage, now)
    relative = bundle.root.removeprefix(f"{storage.root}/")
    pointer = {
        "bundle": relative, "id": bundle.id, "sequence": _latest_sequence(storage, name) + 1,
        "published_unix": time.time(), "previous": now["sequence"] if now else None,
    }  # fmt: skip
    write_json(f"{_registry(storage, name)}/versions/{pointer['sequence']:06d}", pointer)
    write_json(f"{_registry(storage, name)}/CURRENT", pointer)
    return _with_uri(storage, pointer)


def current(storage: Storage, name: str) -> dict[str, Any]:
    """The pointer of `name`. Raises FileNotFoundError where nothing was published."""
    pointer = _pointer(storage, name, "CURRENT")
    if pointer is None:
        raise FileNotFoundError(
            f"{_registry(storage, name)}/CURRENT: nothing is published as {name!r}; run `python -m jobs.publish`"
        )
    return _with_uri(storage, pointer)


def rollback(storage: Storage, name: str) -> dict[str, Any]:
    """Let CURRENT name the version before it, once that has been loaded and has answered. Returns the pointer."""
    now = current(storage, name)
    if now["previous"] is None:
        raise BundleError(f"{name}: version {now['sequence']} is the first; there is nothing to roll back to")
    pointer = _pointer(storage, name, f"versions/{now['previous']:06d}")
    if pointer is None:
        raise BundleError(f"{name}: version {now['previous']} is gone from {_registry(storage, name)}/versions")
    pointer = _with_uri(storage, pointer)
    verify(Bundle.load(pointer["uri"]))
    write_json(f"{_registry(storage, name)}/CURRENT", {k: v for k, v in pointer.items() if k != "uri"})
    return pointer


def _registry(storage: Storage, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"registry: found name {name!r}, expected letters, digits, '_', '-' and '.', not only dots")
    return f"{storage.root}/registry/{name}"


def _pointer(storage: Storage, name: str, record: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = read_json(f"{_registry(storage, name)}/{record}")
    return found


def _with_uri(storage: Storage, pointer: dict[str, Any]) -> dict[str, Any]:
    return pointer | {"uri": f"{storage.root}/{pointer['bundle']}"}


def _latest_sequence(storage: Storage, name: str) -> int:
    fs, base = filesystem(f"{_registry(storage, name)}/versions")
    infos = fs.get_file_info(pafs.FileSelector(base, allow_not_found=True))
    return max((int(i.base_name) for i in infos if i.base_name.isdigit()), default=0)
