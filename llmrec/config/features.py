"""Section `features`: families, history, fusion and selection."""

from typing import Literal

from pydantic import Field

from llmrec.config.base import Section


class SelectionConfig(Section):
    """Which columns are kept, learned from training rows. Without it all are."""

    method: Literal["none", "f_score", "mutual_information", "gradient_boosting", "permutation", "gates"] = "none"
    by: Literal["dimension", "family"] = Field("dimension", description="keep single columns, or families as wholes")
    budget: int = Field(64, ge=1, description="columns kept at most")
    rows: int = Field(10_000, ge=10, description="training rows looked at, spread over time")
    folds: int = Field(3, ge=1, description="stretches of time ranked apart; what is good in all of them goes first")
    seed: int = Field(7, ge=0)


class FeaturesConfig(Section):
    """Which feature families are made and how they are fused."""

    text: bool = Field(True, description="false: no family made from words, and no vectors are read")
    include: tuple[str, ...] = Field(("*",), description="families made, as shell patterns: text_*, item_stars, ...")
    exclude: tuple[str, ...] = Field((), description="families left out of those")
    text_dim: int = Field(64, ge=2, description="dimensions that the encoder's vectors are reduced to")
    history_length: int = Field(20, ge=1, description="events in the sequence given to the models")
    popularity_days: tuple[float, ...] = Field(
        (7.0, 90.0, 365.0),
        min_length=1,
        description="windows, and decay constants, of popularity and activity; days, above 0",
    )
    profile_days: float = Field(180.0, gt=0, description="decay constant of the `recent` text profile, days")
    profile_last: int = Field(
        0, ge=0, description="reviews in the profiles text_user_last and text_item_last, which 0 leaves out"
    )
    attribute_columns: int = Field(32, ge=0, description="brands and categories with a column each, most frequent")
    context_values: int = Field(
        32, ge=0, description="values of corpus.context_columns with a column each, most frequent in training"
    )
    event_history: int = Field(50, ge=1, description="last events of a user, of any kind, that pairs are made of")
    event_lag: float = Field(
        0, ge=0, description="minutes before a query from which on events beside the outcome are not seen yet: what "
        "belongs to the same visit tells the outcome away",
    )  # fmt: skip
    collaborative: tuple[Literal["covisitation", "ease", "ials"], ...] = Field(
        ("covisitation", "ease"), description="item-to-item scores, fitted out of fold by time"
    )
    collaborative_blocks: int = Field(6, ge=1, description="blocks of training time, each scored by the past's model")
    collaborative_items: int = Field(1_000, ge=1, description="most reviewed items that these scores know")
    ease_l2: float = Field(200.0, gt=0)
    ials_factors: int = Field(32, ge=1)
    ials_l2: float = Field(1.0, gt=0)
    ials_alpha: float = Field(10.0, gt=0, description="weight of an event against an unobserved pair")
    normalisation: Literal["standard", "power", "quantile", "none"] = Field(
        "standard", description="of scalars; profiles are directions (L2) that share one scale unless `none`"
    )
    text_reduction: Literal["pca", "random", "autoencoder"] = Field(
        "pca",
        description="how vectors come down to text_dim: principal or random axes, or a learned non-linear code (fitted "
        "on at most 100,000 training rows, spread evenly over time)",
    )
    crosses: tuple[Literal["polynomial", "hashed", "low_rank"], ...] = Field(
        (), description="user x item products: of scalars, of past and new attributes, of text profiles"
    )
    cross_columns: int = Field(32, ge=1, description="buckets of `hashed`, dimensions of `low_rank`")
    selection: SelectionConfig = SelectionConfig()
    outcome_days: float = Field(
        7.0, gt=0, description="days after a click in which what follows is an outcome of it: a purchase, a dwell "
        "time, a review",
    )  # fmt: skip
    negatives: int = Field(4, ge=1, description="sampled per click, by popularity as of t")
    liked_from: float = Field(4.0, description="least stars of a like; a run takes the corpus's (corpus.liked_from)")
    disliked_to: float = Field(2.0, description="most stars of a dislike; a run takes the corpus's")
    exclude_seen: bool = Field(True, description="what a user had is no candidate; a run takes corpus.exclude_seen")
    seed: int = Field(7, ge=0, description="of the negatives, of random axes and of the autoencoder")
