"""ESMM: what follows a click is predicted over everything that was shown, as click × conversion."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmrec.config.data.outcomes import CLICK, LIKE, TaskConfig
from llmrec.models.base import ModelInfo
from llmrec.models.networks.layers import mlp
from llmrec.models.rankers.click_network import Inputs
from llmrec.models.rankers.multitask.config import MultiTaskConfig
from llmrec.models.rankers.multitask.network import beside, towers
from llmrec.models.rankers.multitask.ranker import MultiTaskRanker


class ESMMConfig(MultiTaskConfig):
    name: Literal["esmm"] = "esmm"


def follows_a_click(task: TaskConfig) -> bool:
    """Whether it happens or not, and only to what was clicked; likes and stars are known of reviews alone."""
    return task.form == "whether" and task.kind not in (CLICK, LIKE)


class ESMM(nn.Module):
    """pCTCVR = pCTR · pCVR over the entire space (Ma et al., SIGIR 2018, eq. 3 to 5).

    A network of its own for the click and for each conversion; embeddings alone are shared. Clicks teach one, clicked
    and converted the product, so no conversion is learned from clicked rows only.
    """

    follows: Tensor

    def __init__(self, config: ESMMConfig, inputs: Inputs) -> None:
        super().__init__()
        self.bottoms = nn.ModuleList(mlp((inputs.dim, *config.hidden), config.dropout) for _ in config.outcomes)
        self.towers = towers(config.hidden[-1], config)
        follows = torch.tensor([follows_a_click(task) for task in config.outcomes])
        self.register_buffer("follows", follows, persistent=False)

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) and dense features (B, D) → (B, K), of a conversion the logit of pCTCVR."""
        x = beside(embedded, dense)
        own = torch.cat([t(bottom(x)) for bottom, t in zip(self.bottoms, self.towers, strict=True)], dim=1)
        both = F.logsigmoid(own[:, :1]) + F.logsigmoid(own)  # log of the products
        logit = both - torch.log(-torch.expm1(both.clamp(max=-1e-6)))
        return torch.where(self.follows, logit, own)


class ESMMRanker(MultiTaskRanker):
    Config = ESMMConfig
    INFO = ModelInfo("ESMM", "what follows a click as click × conversion, over everything shown", "features",
                     "Ma et al., SIGIR 2018", output="probability")  # fmt: skip
    body = ESMM
