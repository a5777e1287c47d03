"""How many data-parallel workers fit something: what `training` and `tuning` share."""

from pydantic import Field

from llmrec.config.base import Section


class WorkersConfig(Section):
    """The workers of Ray Train."""

    workers: int = Field(1, ge=0, description="data-parallel Ray Train workers; 0 runs in this process")
    gpu: bool = Field(False, description="one GPU a worker")
    max_failures: int = Field(3, ge=0, description="worker deaths that one fit survives")
