"""The encoder's fingerprint: equal exactly when two encoders give the same vector for the same text."""

from functools import lru_cache
from typing import Any

from llmrec.config import EncoderConfig
from llmrec.encoding.model_files import content_hash, model_folder
from llmrec.storage import fingerprint

#: Raised whenever this package changes what a vector means (tokens, pooling, scaling).
VECTOR_VERSION = 1


def encoder_fingerprint(config: EncoderConfig) -> str:
    """16 hex digits over weights, tokenizer, pooling, prompts, truncation, dtype and dimension. Loads no model.

    Where the model lies does not count: the same files give the same fingerprint on every machine.
    """
    settings: dict[str, Any] = config.model_dump(exclude={"model", "revision", "trust_remote_code"})
    return fingerprint({"version": VECTOR_VERSION, **settings, "content": _content(config)})


def _content(config: EncoderConfig) -> str:
    if config.backend == "hashing":
        return "hashing"  # has no weights
    return _hash(config.model, config.revision)


@lru_cache(maxsize=8)
def _hash(model: str, revision: str | None) -> str:
    return content_hash(model_folder(model, revision))
