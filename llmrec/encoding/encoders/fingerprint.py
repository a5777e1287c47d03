"""The encoder's fingerprint: equal exactly when two encoders give the same vector for the same text."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.model_files import content_hash, file_hash, model_folder
from llmrec.encoding.encoders.static.vector_file import find_vector_file, is_vector_file
from llmrec.files import read_bytes
from llmrec.storage import fingerprint

#: Raised whenever this package changes what a vector means (tokens, pooling, scaling).
VECTOR_VERSION = 2
#: Files of a fitted static encoder, and the length of its vectors where the configuration names none.
STATE_ARRAYS, STATE_WORDS = "state.safetensors", "state.json"
DEFAULT_DIMENSION = 256


def encoder_fingerprint(config: EncoderConfig) -> str:
    """16 hex digits over weights, tokenizer, pooling, prompts, truncation, dtype and dimension. Loads no model.

    Where the model lies does not count: the same files give the same fingerprint on every machine. Raises ValueError
    where there is no such model, or where a fitted encoder has not been fitted yet.
    """
    left_out = {"model", "revision"} if config.backend == "vllm" else {"model", "revision", "dtype"}
    settings: dict[str, Any] = config.model_dump(exclude=left_out)
    return fingerprint({"version": VECTOR_VERSION, **settings, "content": _content(config)})


def model_content(config: EncoderConfig) -> str:
    """What decides the vectors of a vLLM encoder's files, wherever they lie. Raises ValueError where there are none."""
    return content_hash(model_folder(config.model, config.revision))


def named_content(config: EncoderConfig) -> str | None:
    """What is held by a model that is named by where it lies, since another may lie there by tomorrow; None of others.

    Raises ValueError where there is none.
    """
    if config.backend == "vllm":
        here = "://" in config.model or Path(config.model).expanduser().is_dir()
        return model_content(config) if here else None
    if config.backend == "word_vectors" and is_vector_file(config.model):
        return file_hash(find_vector_file(config.model))
    return None


def _content(config: EncoderConfig) -> str:
    if config.backend == "hashing":
        return f"hashing {DEFAULT_DIMENSION}"  # there is nothing else that decides it
    if config.backend == "vllm":
        return model_content(config)
    return _state_hash(config.model)


@lru_cache(maxsize=8)
def _state_hash(folder: str) -> str:
    digest = hashlib.sha256()
    for name in (STATE_WORDS, STATE_ARRAYS):
        data = read_bytes(f"{folder}/{name}")
        if data is None:
            raise ValueError(f"encoding.encoder.model: {folder!r} holds no fitted encoder: {name} is missing")
        digest.update(hashlib.sha256(data).digest())
    return digest.hexdigest()
