"""PLE: experts of each outcome's own beside shared ones, mixed by gates, level upon level."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from llmrec.models.base import ModelInfo
from llmrec.models.rankers.click_network import Inputs
from llmrec.models.rankers.multitask.config import MultiTaskConfig
from llmrec.models.rankers.multitask.network import Experts, beside, mixed, towers
from llmrec.models.rankers.multitask.ranker import MultiTaskRanker


class PLEConfig(MultiTaskConfig):
    name: Literal["ple"] = "ple"
    levels_of_experts: int = Field(2, ge=1)
    shared_experts: int = Field(2, ge=1)
    own_experts: int = Field(1, ge=1, description="of each outcome, a level")


class Level(nn.Module):
    """One level of extraction: streams of each outcome and, last, the shared one → the same, mixed anew.

    An outcome's gate mixes its own experts and the shared ones, the shared gate all of them (Tang et al., RecSys 2020,
    eq. 1 to 4 and 6). The `last` level has no shared stream to hand on.
    """

    def __init__(self, width: int, config: PLEConfig, last: bool) -> None:
        super().__init__()
        own, shared, n = config.own_experts, config.shared_experts, len(config.outcomes)
        sizes = (*[own] * n, shared)
        widths = (width, *config.hidden)
        self.experts = nn.ModuleList(Experts(size, widths, config.dropout) for size in sizes)
        gated = (*[own + shared] * n, *[own * n + shared] * (not last))
        self.gates = nn.ModuleList(nn.Linear(width, size) for size in gated)

    def forward(self, streams: list[Tensor]) -> list[Tensor]:
        """K + 1 of (B, width) → K + 1 of (B, H), K of the last level."""
        *own, shared = (experts(x) for experts, x in zip(self.experts, streams, strict=True))
        said = [torch.cat([mine, shared], dim=1) for mine in own] + [torch.cat([*own, shared], dim=1)]
        asked = zip(self.gates, streams, said, strict=False)  # the last level's gates are fewer
        return [mixed(gate(x), each) for gate, x, each in asked]


class PLE(nn.Module):
    """Progressive layered extraction (Tang et al., RecSys 2020, section 4.2)."""

    def __init__(self, config: PLEConfig, inputs: Inputs) -> None:
        super().__init__()
        widths = (inputs.dim, *[config.hidden[-1]] * (config.levels_of_experts - 1))
        self.levels = nn.ModuleList(Level(w, config, n == len(widths)) for n, w in enumerate(widths, 1))
        self.towers = towers(config.hidden[-1], config)

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) and dense features (B, D) → (B, K)."""
        streams = [beside(embedded, dense)] * (len(self.towers) + 1)
        for level in self.levels:
            streams = level(streams)
        return torch.cat([tower(x) for tower, x in zip(self.towers, streams, strict=True)], dim=1)


class PLERanker(MultiTaskRanker):
    Config = PLEConfig
    INFO = ModelInfo("PLE", "experts of each outcome's own beside shared ones, mixed by gates", "features",
                     "Tang et al., RecSys 2020", output="probability")  # fmt: skip
    body = PLE
