"""Section `serving`: HTTP, deployments, limits."""

from pydantic import Field

from llmrec.config.base import Section


class ServingConfig(Section):
    """How the application is deployed. Loopback unless said otherwise."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535, description="0: any free port")
    api_key_env: str | None = Field(None, description="environment variable holding the key that clients must send")
    max_text_chars: int = Field(20_000, ge=1)
    max_candidates: int = Field(1_000, ge=1)
    max_k: int = Field(100, ge=1)
    retrieve: int = Field(200, ge=1)
    encoder_replicas: int = Field(1, ge=1)
    ranker_replicas: int = Field(1, ge=1)
    max_queued_requests: int = Field(200, ge=1)
    request_timeout_s: float = Field(30, gt=0)
