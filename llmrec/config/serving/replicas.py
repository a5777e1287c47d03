"""Settings of one deployment of the server: how many replicas, and what each reserves."""

from typing import Literal

from pydantic import Field, model_validator

from llmrec.config.base import Section

Part = Literal["ingress", "encoder", "recommender", "retriever", "ranker"]


class AutoscalingConfig(Section):
    """As many replicas as keep the requests under way near the target, instead of a fixed number."""

    min_replicas: int = Field(1, ge=1)
    max_replicas: int = Field(ge=1, description="of which a node must have room for; more wait for one")
    target_ongoing_requests: float = Field(
        2, gt=0, description="requests under way a replica that are aimed at; lower: sooner more replicas, less waiting"
    )
    upscale_delay_s: float = Field(30, ge=0, description="how long it must be more before replicas are added")
    downscale_delay_s: float = Field(600, ge=0, description="how long it must be less before replicas are taken away")

    @model_validator(mode="after")
    def _ordered(self) -> "AutoscalingConfig":
        if self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas {self.min_replicas} must be at most max_replicas {self.max_replicas}")
        return self


class ResourcesConfig(Section):
    """What each replica of a deployment reserves; left out: as `replica_cpus` and `encoder_gpus` say."""

    cpus: float | None = Field(None, gt=0, description="logical CPUs")
    gpus: float | None = Field(None, ge=0)
    memory_gib: float | None = Field(None, gt=0, description="memory that must be free on the node; no limit")


#: The deployments of each layout.
PARTS: dict[str, tuple[Part, ...]] = {
    "fused": ("ingress", "encoder", "recommender"),
    "composed": ("ingress", "encoder", "retriever", "ranker"),
}
