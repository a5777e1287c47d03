"""Section `corpus`: where reviews and items come from, and how they are split in time."""

from typing import Any, Literal

from pydantic import Field, model_validator

from llmrec.config.base import ColumnName, Paths, Section, Theirs
from llmrec.config.data.events import REVIEW, EventsConfig
from llmrec.config.data.files import ReadingConfig, SanityConfig

#: Our names that `columns` and `item_columns` may map.
REVIEW_COLUMNS = ("review_id", "user_id", "item_id", "timestamp", "stars", "title", "text")
ITEM_COLUMNS = ("item_id", "title", "description", "brand", "price", "categories", "available_from",
                "available_until", "available")  # fmt: skip


#: Words that stand for nothing where an id, a label or a number is expected.
NOTHING = ("nan", "none", "null", "na", "n/a", "<na>", "nat", "\\n")


class SampleConfig(Section):
    """The built-in corpus: generated, seeded, with a known truth."""

    n_users: int = Field(2_000, ge=1)
    n_items: int = Field(1_000, ge=1)
    n_reviews: int = Field(
        20_000,
        ge=0,
        description="at most half of n_users x n_items: a pair is reviewed once; where nothing new is left, fewer",
    )
    text_share: float = Field(0.7, ge=0, le=1, description="share of the taste that only the text shows")
    skew: float = Field(
        0.4, ge=0, le=2, description="spread of the log of products' exposure; at 1, two of 250 are a quarter of a test"
    )
    noise_text: bool = Field(False, description="words carry no taste at all: text must not help")
    language: Literal["en", "de", "zh", "mixed"] = Field(
        "en", description="language of the generated text; mixed: each shopper and each product has one of them"
    )
    repeat_share: float = Field(0, ge=0, le=0.5, description="reviews added that repeat an earlier (user, item) pair")
    whole_days: bool = Field(False, description="stamp events by the day, as Amazon does: many of them are tied")
    seed: int = Field(7, ge=0, description="another seed is another corpus of the same kind")
    reviews: bool = Field(True, description="false: no reviews, events alone")
    events: bool = Field(
        False, description="views, dwell times, baskets, purchases, impressions and searches too; the reviews stay"
    )
    people: bool = Field(False, description="attributes of users, and who follows whom; the reviews stay")

    @model_validator(mode="after")
    def _pairs_suffice(self) -> "SampleConfig":
        most = self.n_users * self.n_items // 2
        if self.n_reviews > most:
            raise ValueError(
                f"n_reviews {self.n_reviews} is more than half of the n_users x n_items = {2 * most} pairs, each of "
                f"which is reviewed once; expected at most {most}, or more users or items"
            )
        return self


def _on_scale(section: Any, of_highest: float, of_range: float) -> float:
    """A place on the scale: a share of its end, or of its length where it begins below 0."""
    low, high = section["stars_min"], section["stars_max"]
    return float(round(high * of_highest if low >= 0 else low + (high - low) * of_range, 6))


class CorpusConfig(EventsConfig):
    """Readers and their settings. `source: sample` needs no files."""

    source: Literal[
        "sample",
        "amazon",
        "amazon_tsv",
        "movielens",
        "yelp",
        "goodreads",
        "steam",
        "mind",
        "douban",
        "olist",
        "b2w",
        "lastfm",
        "table",
    ] = "sample"
    reviews: Paths = Field((), description="paths, globs or URIs of review files")
    items: Paths = Field((), description="paths, globs or URIs of item metadata files")
    logged: Paths = Field(
        (), description="files that jobs.refresh wrote: what came while the server ran, `reviews*.parquet`, "
        "`items*.parquet`, `events*.parquet` and `relations*.parquet`",
    )  # fmt: skip
    columns: dict[str, Theirs] = Field({}, description="our column -> the file's; a.b.c: nested; a list: joined")
    item_columns: dict[str, Theirs] = Field({}, description="the same for item files")
    review_format: ReadingConfig = Field(ReadingConfig(), description="how the review files are written")
    item_format: ReadingConfig = Field(ReadingConfig(), description="how the item files are written")
    item_vectors: dict[ColumnName, str] = Field(
        {},
        description="name -> column of the item files that holds a list of numbers (an embedding of the image, say), "
        "one length a column; each becomes the feature families vector_NAME_*",
    )
    context_columns: dict[ColumnName, str] = Field(
        {},
        description="name -> column of the review files that is known when recommendations are asked for (device, "
        "place, campaign): a label; family context_columns",
    )
    stars_min: float = Field(
        default_factory=lambda section: 0.5 if section["source"] == "movielens" else 1.0,
        description="left out: what the source's scale begins with, 1, or 0.5 where source is movielens",
    )
    stars_max: float = 5.0
    liked_from: float = Field(
        default_factory=lambda section: _on_scale(section, 0.8, 0.75),
        description="least stars of a like; left out: four fifths of the scale, 4 of 1 to 5, 8 of 1 to 10",
    )
    disliked_to: float = Field(
        default_factory=lambda section: _on_scale(section, 0.4, 0.25),
        description="most stars of a dislike; left out: two fifths of the scale, 2 of 1 to 5, 4 of 1 to 10",
    )
    not_rated: tuple[float | str, ...] = Field((), description="values of `stars` that mean none was given")
    missing: tuple[str, ...] = Field(
        NOTHING, description="words, of any case, that stand for nothing in ids and labels"
    )
    repeats: Literal["keep", "last"] = Field(
        "keep",
        description="a pair that comes again at another time or in other words: each an event, or the last alone",
    )
    sanity: SanityConfig = SanityConfig()
    max_text_chars: int = Field(100_000, ge=1, description="longer text is cut here, and counted")
    normalise_text: bool = Field(
        True, description="composed accents (NFC), full-width letters and digits as plain ones"
    )
    max_row_bytes: int = Field(32_000_000, ge=1_000, description="a longer row is quarantined unread")
    sample: SampleConfig = SampleConfig()

    def _has(self, kind: Literal["reviews", "events"]) -> bool:
        return bool(getattr(self.sample if self.source == "sample" else self, kind))

    @model_validator(mode="after")
    def _the_outcome_is_there(self) -> "CorpusConfig":
        switch = "sample.events" if self.source == "sample" else "`events`"
        if self.outcome.kind != REVIEW and not self._has("events"):
            raise ValueError(f"outcome {self.outcome.kind!r} needs {switch}: found none to take it from")
        if self.outcome.kind == REVIEW and not self._has("reviews") and self._has("events"):
            raise ValueError(
                "outcome: found `review` and no reviews; expected the kind of events to predict, such as "
                "outcome: purchase"
            )
        named = [name for name in ("events", "users", "relations") if self.source == "sample" and getattr(self, name)]
        if named:
            raise ValueError(f"{', '.join(named)}: source 'sample' reads no files; set sample.events or sample.people")
        files = [name for name in ("reviews", "items") if self.source == "sample" and getattr(self, name)]
        if files:
            raise ValueError(
                f"{', '.join(files)}: source 'sample', the default, reads no files; name the source that they are of: "
                "amazon, movielens or table"
            )
        if self.user_attributes and not self.users:
            raise ValueError(f"user_attributes {sorted(self.user_attributes)} need `users`: found no files of users")
        return self

    @model_validator(mode="after")
    def _files_are_named(self) -> "CorpusConfig":
        if not (self._has("reviews") or self._has("events")):
            raise ValueError(
                f"source {self.source!r} needs `reviews` or `events`: found none, expected at least one path or glob"
                if self.source != "sample"
                else "sample: found neither reviews nor events, expected one of them"
            )
        if self.item_vectors and not (self.items and self.source != "sample"):
            raise ValueError(
                f"item_vectors {sorted(self.item_vectors)} need `items`: found no item files to take them from"
            )
        if self.context_columns and self.source == "sample":
            raise ValueError(f"context_columns {sorted(self.context_columns)}: source 'sample' has no such columns")
        if self.stars_min >= self.stars_max:
            raise ValueError(f"stars_min {self.stars_min} must be below stars_max {self.stars_max}")
        return self

    @model_validator(mode="after")
    def _thresholds_are_ordered(self) -> "CorpusConfig":
        if self.disliked_to >= self.liked_from:
            raise ValueError(f"disliked_to {self.disliked_to} must be below liked_from {self.liked_from}")
        return self

    @model_validator(mode="after")
    def _columns_are_ours(self) -> "CorpusConfig":
        for name, mapping, ours in (
            ("columns", self.columns, REVIEW_COLUMNS),
            ("item_columns", self.item_columns, ITEM_COLUMNS),
        ):
            unknown = sorted(set(mapping) - set(ours))
            if unknown:
                raise ValueError(f"{name} maps {unknown}, which llmrec does not know; allowed: {', '.join(ours)}")
            if mapping and self.source == "sample":
                raise ValueError(f"{name}: source 'sample' has its own names")
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
