"""Section `tuning`: by what an encoder learns from the corpus before T1, which of its weights, and for how long."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from llmrec.config.base import Section
from llmrec.config.text.encoding import EncoderConfig
from llmrec.config.text.precision import usual_precision
from llmrec.config.workers import WorkersConfig
from llmrec.names import AUGMENTATIONS, OBJECTIVES, PAIRS, check_names

#: Poolings that sentence-transformers' folder layout can say.
TUNED_POOLINGS = ("mean", "cls", "last", "max")


#: Settings that mean something where pairs are learned from.
_OF_PAIRS = ("max_pairs", "few_pairs", "augment", "hard_negatives", "shuffled_pairs")


class LowRankConfig(Section):
    """LoRA (Hu et al., ICLR 2022): low-rank updates of linear layers, merged before the encoder is written."""

    rank: int = Field(
        8, ge=1, description="of each layer; of adalora on average, where the steps end; of bottleneck its width"
    )
    alpha: float = Field(16.0, gt=0, description="the update is scaled by alpha / rank")
    orthogonality: float = Field(0.5, ge=0, description="adalora: weight of how far the updates' factors are from it")
    targets: tuple[str, ...] = Field(
        (),
        description="names of linear layers (query, value, …); none: all of them, "
        "of bottleneck those that write to the residual stream",
    )


class TuningConfig(WorkersConfig):
    """Without an objective nothing is tuned, and the stage is left out."""

    objectives: dict[str, float] = Field({}, description="names of the list `objectives`, each with its weight")
    pairs: dict[str, float] = Field(
        {"next_item": 1.0, "description": 0.5, "same_item": 0.5},
        min_length=1, description="of contrastive: names of the list `pairs`, each with its share of a batch",
    )  # fmt: skip
    window: int = Field(3, ge=1, description="next_item: how many liked events further the next one may be")
    max_pairs: int | None = Field(
        None, ge=2, description="of contrastive: so many pairs at most, drawn once by their shares; none: all of them"
    )
    few_pairs: tuple[int, ...] = Field(
        (), description="the encoder is also tuned on so many pairs alone, one more run each: the report's curve"
    )
    hard_negatives: int = Field(
        0, ge=0, description="of contrastive: so many items a pair beside the batch, of the 20 that the encoder as it "
        "came takes for nearest to the pair's",
    )  # fmt: skip
    augment: dict[str, float] = Field(
        {}, description="of contrastive: names of the list `augmentations`, each with its share, in that order"
    )
    prefixes: tuple[int, ...] = Field(
        (), description="of contrastive and distillation: first so many numbers of a vector that are to be of use "
        "alone (encoding.encoder.dimension)",
    )  # fmt: skip
    teacher: EncoderConfig | None = Field(None, description="of distillation; none: the encoder as it came")
    method: Literal["all", "last_layers", "lora", "adalora", "bottleneck"] = Field(
        "all", description="which weights are tuned"
    )
    last_layers: int = Field(2, ge=1, description="of method last_layers: how many, counted from the end")
    lora: LowRankConfig = LowRankConfig()
    steps: int = Field(300, ge=1)
    batch_size: int = Field(64, ge=2, description="pairs, or texts, of one step, over all workers")
    learning_rate: float = Field(5e-5, gt=0, description="at its highest: warm-up, then a cosine down to zero")
    warmup_share: float = Field(0.1, ge=0, le=1, description="of the steps")
    weight_decay: float = Field(0.01, ge=0)
    clip_norm: float = Field(1.0, gt=0, description="longest gradient of a step")
    dropout: bool = Field(False, description="the model's own; without it any number of workers gives equal weights")
    max_tokens: int = Field(128, ge=8, description="longer texts are cut here while tuning")
    dtype: Literal["bfloat16", "float32"] = Field(
        default_factory=lambda section: "bfloat16" if section.get("gpu") else usual_precision(),
        description="of products, unless named as encoding.encoder.dtype; weights are float32",
    )
    temperature: float = Field(0.05, gt=0, description="of contrastive")
    learn_temperature: bool = True
    masked_share: float = Field(0.15, gt=0, lt=1, description="of masked_language_model: words that are hidden")
    micro_batch: int = Field(32, ge=1, description="texts that go through the network at once, of like lengths")
    cache_gradients: bool = Field(
        False, description="hold one micro-batch's activations at a time (Gao et al. 2021): a third slower"
    )
    validation_share: float = Field(0.1, ge=0, lt=1, description="of the events before T1, the last: they choose steps")
    validation_queries: int = Field(200, ge=1)
    validate_every: int = Field(50, ge=1, description="steps between two validations, which are checkpoints too")
    patience: int = Field(3, ge=1, description="validations without a better one before it ends")
    max_events: int = Field(500_000, ge=1, description="the latest so many before T1 are learned from")
    refit: bool = Field(
        False, description="tune anew before T2, for as many steps as were chosen before T1: the fold `test`, and the "
        "bundle that serves, read that encoder, for which the corpus is encoded once more",
    )  # fmt: skip
    shuffled_pairs: bool = Field(False, description="a control: targets are dealt to others; it must earn nothing")
    threads_per_worker: int | Literal["auto"] = Field("auto", description="CPU threads of one worker")

    @field_validator("objectives", "pairs")
    @classmethod
    def _they_exist(cls, weights: dict[str, float], info: object) -> dict[str, float]:
        known = OBJECTIVES if getattr(info, "field_name", "") == "objectives" else PAIRS
        check_names("tuning objective" if known is OBJECTIVES else "kind of pair", weights, known)
        if bad := [f"{name} {weight}" for name, weight in weights.items() if not 0 < weight < float("inf")]:
            raise ValueError(f"weights above 0, found {', '.join(bad)}; leave out what is not wanted")
        return weights

    @field_validator("augment")
    @classmethod
    def _shares(cls, augment: dict[str, float]) -> dict[str, float]:
        check_names("augmentation", augment, AUGMENTATIONS)
        if bad := [f"{name} {share}" for name, share in augment.items() if not 0 < share < 1]:
            raise ValueError(f"shares between 0 and 1, found {', '.join(bad)}; leave out what is not wanted")
        return augment

    @field_validator("few_pairs")
    @classmethod
    def _fewer_first(cls, few: tuple[int, ...]) -> tuple[int, ...]:
        if list(few) != sorted(set(few)) or any(n < 2 for n in few):
            raise ValueError(f"increasing numbers of at least 2, found {list(few)}")
        return few

    @field_validator("prefixes")
    @classmethod
    def _lengths(cls, prefixes: tuple[int, ...]) -> tuple[int, ...]:
        if any(n < 1 for n in prefixes):
            raise ValueError("numbers of at least 1")
        return prefixes

    @field_validator("teacher")
    @classmethod
    def _a_network(cls, teacher: EncoderConfig | None) -> EncoderConfig | None:
        if teacher is not None and teacher.backend != "vllm":
            raise ValueError(f"backend `vllm`, which has a network; found {teacher.backend!r}")
        return teacher

    @field_validator("threads_per_worker")
    @classmethod
    def _positive(cls, threads: int | str) -> int | str:
        if isinstance(threads, int) and threads < 1:
            raise ValueError("`auto` or at least 1")
        return threads

    @model_validator(mode="after")
    def _pairs_are_learned_from(self) -> Self:
        learned = set(self.objectives)
        for of, names in (({"contrastive"}, _OF_PAIRS), ({"contrastive", "distillation"}, ("prefixes",))):
            if learned and not learned & of and (idle := [name for name in names if getattr(self, name)]):
                raise ValueError(
                    f"{', '.join(idle)}: of {' and '.join(sorted(of))}, which tuning.objectives leaves out; add it, or "
                    "leave them out"
                )
        return self

    @model_validator(mode="after")
    def _few_are_fewer(self) -> Self:
        if self.max_pairs is not None and self.few_pairs and self.few_pairs[-1] >= self.max_pairs:
            raise ValueError(
                f"few_pairs {list(self.few_pairs)}: expected less than max_pairs, {self.max_pairs}, of which the "
                "encoder itself learns"
            )
        return self

    @model_validator(mode="after")
    def _ranks_need_steps_to_fall(self) -> Self:
        if self.method == "adalora" and self.steps < 10:
            raise ValueError(f"steps {self.steps}: method adalora needs at least 10, over which its ranks fall")
        return self
