"""Section `serving`: HTTP, deployments, limits."""

from typing import Literal

from pydantic import Field, model_validator

from llmrec.config.base import Section


class ServingConfig(Section):
    """How the application is deployed. Loopback unless said otherwise."""

    host: str = Field("127.0.0.1", min_length=1, description="address the HTTP proxy listens on")
    port: int = Field(8000, ge=0, le=65535, description="0: any free port")
    api_key_env: str | None = Field(
        None, min_length=1, description="environment variable holding the key that clients of /v1 must send"
    )
    clock: Literal["data", "wall"] = Field(
        "data",
        description="the time that requests are answered at: `data` is just after the bundle's last event, which the "
        "models know and offline jobs share; `wall` is now, for a corpus that is refreshed every day",
    )
    follow_seconds: float = Field(
        5, ge=0, description="how often replicas look whether CURRENT names another bundle; 0: only when redeployed"
    )
    # Limits of one request.
    max_text_chars: int = Field(20_000, ge=1, le=1_000_000)
    max_texts: int = Field(64, ge=1, le=1_024, description="texts of one /v1/encode")
    max_candidates: int = Field(1_000, ge=1, le=10_000)
    max_liked: int = Field(200, ge=1, le=10_000)
    max_exclude: int = Field(1_000, ge=1, le=10_000)
    max_k: int = Field(100, ge=1, le=1_000)
    max_body_bytes: int = Field(1_000_000, ge=1_024, description="a larger body is answered 413 before it is read")
    retrieve: int = Field(200, ge=1, description="candidates the retriever hands to the ranker")
    # Deployments.
    ingress_replicas: int = Field(1, ge=1)
    encoder_replicas: int = Field(1, ge=1)
    retriever_replicas: int = Field(1, ge=1)
    ranker_replicas: int = Field(1, ge=1)
    replica_cpus: float = Field(0.5, gt=0, description="logical CPUs that each replica reserves")
    encoder_gpus: float = Field(0, ge=0, description="GPUs of each encoder replica")
    encoder_threads: int | None = Field(
        None, ge=1, description="CPU threads of each encoder replica; none: as many as Ray gives it"
    )
    batch_size: int = Field(32, ge=1, description="requests that one encoder batch may join")
    batch_wait_ms: float = Field(2, ge=0, description="how long a request waits for others to join its batch")
    # Overload.
    max_ongoing_requests: int = Field(64, ge=1, description="requests a replica works on at once")
    max_queued_requests: int = Field(200, ge=1, description="waiting requests beyond which clients are told 429")
    retry_after_s: int = Field(1, ge=1, description="Retry-After of 429 and 503 answers")
    request_timeout_s: float = Field(30, gt=0, description="from the first byte; then 504 (408 while the body arrives)")

    @model_validator(mode="after")
    def _ranks_what_it_returns(self) -> "ServingConfig":
        if self.retrieve < self.max_k:
            raise ValueError(f"retrieve {self.retrieve} must be at least max_k {self.max_k}")
        return self
