"""Section `features`: families, history, fusion and selection."""

from typing import Literal

from pydantic import Field

from llmrec.config.base import Section


class FeaturesConfig(Section):
    """Which feature families are made and how they are fused."""

    text: bool = Field(True, description="false: no family made from words, and no vectors are read")
    text_dim: int = Field(64, ge=2, description="PCA of the encoder's vectors, fitted on training rows")
    history_length: int = Field(20, ge=1, description="events in the sequence given to the models")
    popularity_days: tuple[float, ...] = Field(
        (7.0, 90.0, 365.0), description="windows, and decay constants, of popularity and activity; days, above 0"
    )
    profile_days: float = Field(180.0, gt=0, description="decay constant of the `recent` text profile, days")
    attribute_columns: int = Field(32, ge=0, description="brands and categories with a column each, most frequent")
    collaborative: tuple[Literal["covisitation", "ease", "ials"], ...] = Field(
        ("covisitation", "ease"), description="item-to-item scores, fitted out of fold by time"
    )
    collaborative_blocks: int = Field(6, ge=1, description="blocks of training time, each scored by the past's model")
    collaborative_items: int = Field(1_000, ge=1, description="most reviewed items that these scores know")
    ease_l2: float = Field(200.0, gt=0)
    ials_factors: int = Field(32, ge=1)
    ials_l2: float = Field(1.0, gt=0)
    ials_alpha: float = Field(10.0, gt=0, description="weight of an event against an unobserved pair")
    negatives: int = Field(4, ge=1, description="sampled per click, by popularity as of t")
    seed: int = Field(7, ge=0, description="of the negatives")
