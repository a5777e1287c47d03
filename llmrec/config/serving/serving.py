"""Section `serving`: HTTP, deployments, limits."""

from typing import Any, Literal

from pydantic import Field, model_validator

from llmrec.config.base import Section
from llmrec.config.serving.approximate import ApproximateConfig
from llmrec.config.serving.experiments import ExperimentConfig, ExposuresConfig
from llmrec.config.serving.live import LiveConfig
from llmrec.config.serving.replicas import PARTS, AutoscalingConfig, Part, ResourcesConfig


class DiversityConfig(Section):
    """See `llmrec/diversity.py`."""

    method: Literal["mmr", "dpp"] = "mmr"
    weight: float = Field(ge=0, le=1, description="0: the order of the scores; 1: what differs most")


class ServingConfig(Section):
    """How the application is deployed. Loopback unless said otherwise."""

    host: str = Field("127.0.0.1", min_length=1, description="address the HTTP proxy listens on")
    port: int = Field(8000, ge=0, le=65535, description="0: any free port")
    api_keys_env: str | None = Field(
        None, min_length=1, description="environment variable holding the keys that clients of /v1 must send, as "
        "`NAME ROLE KEY` separated by `;` (role: read, write, admin), or one key alone",
    )  # fmt: skip
    api_keys_file: str | None = Field(
        None, min_length=1, description="file with one `NAME ROLE KEY` a line, seen by the ingress; read again when it "
        "changes, so that keys rotate without a restart",
    )  # fmt: skip
    trust_remote_code: bool = Field(
        False, description="run code that lies in the encoder's model folder, where the bundle asks for it; a bundle "
        "alone cannot allow it",
    )  # fmt: skip
    fetch_models: bool = Field(
        False,
        description="download an encoder that the bundle names by its hub id, and read a fitted one from outside "
        "`storage`; else it must lie here",
    )
    cors_origins: list[str] = Field([], description="origins whose web pages may call the API; none: closed")
    clock: Literal["data", "wall"] = Field(
        "data",
        description="the time that requests are answered at: `data` is just after the bundle's last event, which the "
        "models know and offline jobs share; `wall` is now, for a corpus that is refreshed every day, and what it is "
        "where live events are on",
    )
    live: LiveConfig = LiveConfig()
    exposures: ExposuresConfig = ExposuresConfig()
    experiments: dict[str, ExperimentConfig] = Field(
        {}, description="by name; a user takes part in the first one that draws them, and a new name draws anew"
    )
    follow_seconds: float = Field(
        5, ge=0, description="how often replicas look whether CURRENT names another bundle; 0: only when redeployed"
    )
    need: float = Field(
        0.6, ge=0, le=1, description="how much a request's words, as a present need, weigh against taste where the "
        "request does not say; 0: they only tell a newcomer's taste",
    )  # fmt: skip
    diversity: DiversityConfig | None = Field(
        None, description="how far the items of a list are to differ where the request does not say: "
        "{method: mmr | dpp, weight: 0 to 1}; none: the best, however alike",
    )  # fmt: skip
    quotes: bool = Field(
        True, description="reasons may quote the reviews' sentences that the bundle holds: search.quotes"
    )
    # Limits of one request.
    max_text_chars: int = Field(20_000, ge=1, le=1_000_000)
    max_texts: int = Field(64, ge=1, le=1_024, description="texts of one /v1/encode")
    max_encode_chars: int = Field(100_000, ge=1, description="characters of one /v1/encode in all")
    max_candidates: int = Field(1_000, ge=1, le=10_000)
    max_liked: int = Field(200, ge=1, le=10_000)
    max_exclude: int = Field(1_000, ge=1, le=10_000)
    max_k: int = Field(100, ge=1, le=1_000)
    max_batch: int = Field(32, ge=1, le=1_000, description="requests of one /v1/recommend/batch")
    max_body_bytes: int = Field(
        400_000, ge=1_024, description="a larger body is answered 413 before it is read; parsing one holds everybody "
        "for up to .1 ms a kB, so that a larger limit costs others time",
    )  # fmt: skip
    approximate: ApproximateConfig | None = Field(
        None,
        description="search large catalogues by a graph: {above: items, recall: what it is to find}; none: all exactly",
    )
    retrieve: int = Field(200, ge=1, description="candidates the retriever hands to the ranker")
    # Deployments.
    layout: Literal["fused", "composed"] = Field(
        "fused",
        description="`fused`: one deployment, Recommender, holds the bundle once and answers in one call; `composed`: "
        "Retriever and Ranker scale apart, which pays where one of them needs a machine of its own",
    )
    ingress_replicas: int = Field(1, ge=1)
    encoder_replicas: int = Field(1, ge=1)
    retriever_replicas: int = Field(1, ge=1)
    ranker_replicas: int = Field(1, ge=1)
    recommender_replicas: int = Field(1, ge=1, description="of layout `fused`; the two above are of `composed`")
    autoscaling: dict[Part, AutoscalingConfig] = Field(
        {}, description="deployment -> between how many replicas, by the requests under way; its `…_replicas` is then "
        "not read",
    )  # fmt: skip
    resources: dict[Part, ResourcesConfig] = Field({}, description="deployment -> what each of its replicas reserves")
    replica_cpus: float = Field(0.5, gt=0, description="logical CPUs that each replica reserves")
    encoder_gpus: float = Field(0, ge=0, description="GPUs of each encoder replica")
    encoder_threads: int | None = Field(
        None, ge=1, description="CPU threads of each encoder replica; none: as many as Ray gives it"
    )
    remembered_texts: int = Field(
        4_096, ge=0, description="vectors of the last texts that each encoder replica keeps, by a hash of the text"
    )
    batch_size: int = Field(32, ge=1, description="requests that one encoder batch may join")
    batch_wait_ms: float = Field(2, ge=0, description="how long a request waits for others to join its batch")
    # Overload.
    max_ongoing_requests: int = Field(64, ge=1, description="requests a replica works on at once")
    max_queued_requests: int = Field(200, ge=1, description="waiting requests beyond which clients are told 429")
    max_ongoing_per_key: int = Field(
        100, ge=1, description="requests of one key under way, beyond which it is told 429"
    )
    retry_after_s: int = Field(1, ge=1, description="Retry-After of 429 and 503 answers")
    # Time.
    request_timeout_s: float = Field(30, gt=0, description="from the last byte of the body to the answer; then 504")
    body_timeout_s: float = Field(5, gt=0, description="for the body to arrive; then 408")
    hop_timeout_s: float = Field(5, gt=0, description="for one call of retriever or ranker; then it is repeated")
    text_timeout_s: float = Field(
        2, gt=0, description="how long a recommendation waits for its text's vector; then it does without and says so"
    )
    health_check_s: float = Field(1, gt=0, description="between two looks at a replica; three failed ones replace it")
    health_check_timeout_s: float = Field(
        2, gt=0, description="how long a look waits: less takes for dead what overload or a new engine keeps busy"
    )

    @property
    def max_ongoing_total(self) -> int:
        """Requests under way in one ingress: more than deployments take, so that their queues decide who is refused."""
        return 2 * (self.max_ongoing_requests + self.max_queued_requests)

    @model_validator(mode="before")
    @classmethod
    def _events_go_by_the_wall_clock(cls, data: Any) -> Any:
        live = data.get("live") if isinstance(data, dict) else None
        on = live.get("enabled") is True if isinstance(live, dict) else isinstance(live, LiveConfig) and live.enabled
        return {"clock": "wall", **data} if on else data

    @model_validator(mode="after")
    def _events_are_seen(self) -> "ServingConfig":
        if self.live.enabled and self.clock != "wall":
            raise ValueError(
                f"clock: found {self.clock!r} beside live.enabled, expected wall: as of the bundle's last event no "
                "later one is seen; leave clock out"
            )
        return self

    @model_validator(mode="after")
    def _experiments_are_logged(self) -> "ServingConfig":
        if self.exposures.enabled and not self.live.enabled:
            raise ValueError("exposures.enabled: found true without live.enabled, which brings what comes back")
        if self.experiments and not self.exposures.enabled:
            names = ", ".join(self.experiments)
            raise ValueError(f"experiments: found {names} without exposures.enabled; without a log nothing is learned")
        return self

    @model_validator(mode="after")
    def _parts_are_deployed(self) -> "ServingConfig":
        parts = PARTS[self.layout]
        for name, found in (("autoscaling", self.autoscaling), ("resources", self.resources)):
            if absent := [part for part in found if part not in parts]:
                raise ValueError(
                    f"{name}: found {absent[0]!r}, which layout {self.layout!r} does not deploy; expected one of "
                    f"{', '.join(parts)}"
                )
        return self

    @model_validator(mode="after")
    def _ranks_what_it_returns(self) -> "ServingConfig":
        if self.retrieve < self.max_k:
            raise ValueError(f"retrieve {self.retrieve} must be at least max_k {self.max_k}")
        return self
