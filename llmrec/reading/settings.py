"""Which settings decide a reading, and how many readers run."""

from typing import Any

from llmrec.config import EncoderConfig, EncodingConfig, ReviewReadingConfig
from llmrec.config.text.encoding import ActorsConfig

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


def learns_from_stars(config: ReviewReadingConfig) -> bool:
    """Whether what is read depends on the stars of reviews before T1."""
    return config.reader == "head" or (config.reader == "choose" and config.shots > 0)


def job_settings(config: ReviewReadingConfig, engine: bool) -> EncodingConfig:
    """The settings of the job that readers and encoders share; `engine`: whether an actor holds one."""
    backend: Any = "vllm" if engine else "hashing"
    return EncodingConfig(
        encoder=EncoderConfig(backend=backend), **config.model_dump(include=set(ActorsConfig.model_fields))
    )
