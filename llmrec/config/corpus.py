"""Section `corpus`: where reviews and items come from, and how they are split in time."""

from typing import Literal

from pydantic import Field, model_validator

from llmrec.config.base import Section


class SampleConfig(Section):
    """The built-in corpus: generated, seeded, with a known truth."""

    n_users: int = Field(600, ge=1)
    n_items: int = Field(300, ge=1)
    n_reviews: int = Field(6_000, ge=0)
    text_share: float = Field(0.7, ge=0, le=1, description="share of the taste that only the text shows")
    noise_text: bool = Field(False, description="words carry no taste at all: text must not help")
    language: str = Field("en", description="language of the generated text: en, de, zh, ...")
    seed: int = 7


class CorpusConfig(Section):
    """Readers and their settings. `source: sample` needs no files."""

    source: Literal["sample", "amazon", "movielens", "table"] = "sample"
    reviews: tuple[str, ...] = Field((), description="paths, globs or URIs of review files")
    items: tuple[str, ...] = Field((), description="paths, globs or URIs of item metadata files")
    columns: dict[str, str] = Field({}, description="source=table: our column -> the file's column")
    item_columns: dict[str, str] = Field({}, description="source=table: the same for item files")
    stars_min: float = 1.0
    stars_max: float = 5.0
    max_text_chars: int = Field(100_000, ge=1, description="longer text is cut here, and counted")
    sample: SampleConfig = SampleConfig()

    @model_validator(mode="after")
    def _files_are_named(self) -> "CorpusConfig":
        if self.source != "sample" and not self.reviews:
            raise ValueError(f"source {self.source!r} needs `reviews`: found none, expected at least one path or glob")
        return self


class SplitConfig(Section):
    """Cut-offs T1 < T2 of the `temporal` protocol, as quantiles of the event times."""

    validation_quantile: float = Field(0.8, gt=0, lt=1)
    test_quantile: float = Field(0.9, gt=0, lt=1)

    @model_validator(mode="after")
    def _ordered(self) -> "SplitConfig":
        if self.validation_quantile >= self.test_quantile:
            raise ValueError(
                f"validation_quantile {self.validation_quantile} must be below test_quantile {self.test_quantile}"
            )
        return self
