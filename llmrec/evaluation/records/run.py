"""Which run it was, and on which corpus."""

from pydantic import Field, JsonValue

from llmrec.evaluation.records.estimates import ResultRecord


class RunFacts(ResultRecord):
    """Which run this was and how to do it again."""

    name: str
    id: str
    config: dict[str, JsonValue] = {}
    code_version: str = ""
    seeds: list[int] = []
    size: str = ""
    machine: str = ""
    packages: dict[str, str] = {}
    created: int | None = Field(None, description="ms UTC")
    seconds: float | None = Field(None, ge=0)
    stage_seconds: dict[str, float] = {}
    reproduce: str = Field("", description="the command")
    corpus_id: str = Field("", description="artifact id of the corpus: only runs on one corpus are compared")
    bundle_id: str = ""
    confidence: float = Field(0.95, gt=0, lt=1)
    bootstrap: int | None = Field(None, ge=0, description="resamples behind each interval")
    primary_metric: str = ""


class Core(ResultRecord):
    """Whether the corpus was cut by how many events everybody ever gets, and what that decides."""

    least_item: int = Field(ge=0, description="events of the item that has fewest")
    least_user: int = Field(ge=0)
    born: int = Field(ge=0, description="items first seen after T2")
    least_born: int | None = Field(None, ge=1, description="events of the one of them that has fewest")
    born_share: float = Field(ge=0, le=1, description="their share of the events after T2")
    owed: int = Field(ge=0, description="items known by T2 with fewer events than the core leaves any item")
    owed_share: float = Field(ge=0, le=1, description="their share of the events after T2")

    @property
    def cored(self) -> bool:
        """Nobody has a single event: no shop's log looks so."""
        return max(self.least_item, self.least_user) > 1


class Portrait(ResultRecord):
    """The corpus as it was read. Shares are in [0, 1]."""

    name: str
    n_reviews: int = Field(ge=0)
    n_users: int = Field(ge=0)
    n_items: int = Field(ge=0)
    first: int | None = None
    last: int | None = None
    languages: dict[str, float] = Field({}, description="share of reviews by language code")
    stars: dict[str, int] = Field({}, description="reviews by stars")
    tied_share: float | None = Field(None, ge=0, le=1, description="events that share user and timestamp with another")
    tied_users: int | None = Field(None, ge=0, description="users whose last events tie in time")
    duplicates: int | None = Field(None, ge=0)
    sparsity: float | None = Field(None, ge=0, le=1, description="share of user x item pairs without a review")
    empty_texts: int | None = Field(None, ge=0)
    median_per_user: float | None = Field(None, ge=0)
    median_per_item: float | None = Field(None, ge=0)
    quarantined: dict[str, int] | None = Field(None, description="rows by reason; empty: none was")
    unknown_token_share: float | None = Field(None, ge=0, le=1)
    encoder: str = ""
    encoder_seconds_per_1000: float | None = Field(None, ge=0, description="seconds per 1,000 reviews, uncached")
    core: Core | None = None
    notes: list[str] = []
