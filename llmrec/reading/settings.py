"""Which settings decide a reading, and how many readers run."""

from typing import Any

from llmrec.config import EncoderConfig, EncodingConfig, ReviewReadingConfig
from llmrec.config.encoding import ActorsConfig

#: Readers that an engine hosts.
ENGINES = ("choose", "generate")


def deciding(config: ReviewReadingConfig) -> dict[str, Any]:
    """The settings that decide a reading; which of them count depends on the reader."""
    kept = {"reader"}
    if config.reader in ENGINES:
        kept |= {"max_text_tokens", "dtype"}
    kept |= {"max_output_tokens"} if config.reader == "generate" else set()
    kept |= {"shots"} if config.reader == "choose" else set()
    return config.model_dump(include=kept)


def job_settings(config: ReviewReadingConfig) -> EncodingConfig:
    """The settings of the job that readers and encoders share."""
    backend: Any = "vllm" if config.reader in ENGINES else "hashing"  # what an actor needs, an engine or not
    return EncodingConfig(
        encoder=EncoderConfig(backend=backend), **config.model_dump(include=set(ActorsConfig.model_fields))
    )
