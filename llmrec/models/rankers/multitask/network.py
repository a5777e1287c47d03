"""The network of many outcomes: the click network's inputs, a body with an output each, and their losses as one."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmrec.models.networks.fusion import Families
from llmrec.models.networks.layers import mlp
from llmrec.models.networks.ordinal import CumulativeLogit
from llmrec.models.rankers.click_network import Body, ClickNetwork
from llmrec.models.rankers.multitask.config import MultiTaskConfig
from llmrec.workers.process_group import ProcessGroup


class OutcomesNetwork(ClickNetwork):
    """`forward` gives (B, K): logits of what is 0 or 1, standard scores of numbers, in order of `config.outcomes`.

    `center`, `scale` (K,): of the training rows' numbers; `share` (K,): of the rows that know an outcome.
    """

    config: MultiTaskConfig
    center: Tensor
    scale: Tensor
    share: Tensor
    fixed: Tensor

    def __init__(
        self, config: MultiTaskConfig, body: Body, n_users: int, n_items: int, sides: Mapping[str, Families]
    ) -> None:
        super().__init__(config, body, n_users, n_items, sides)
        names = [task.name for task in config.outcomes]
        learned = config.weights == "learned" and len(names) > 1
        self.log_variance = nn.Parameter(torch.zeros(len(names))) if learned else None
        given = {} if isinstance(config.weights, str) else config.weights
        self.register_buffer("fixed", torch.tensor([given.get(name, 1.0) for name in names]), persistent=False)
        self.ordinal = CumulativeLogit(config.levels) if config.is_ordinal else None
        for name, value in (("center", 0.0), ("scale", 1.0), ("share", 1.0)):
            self.register_buffer(name, torch.full((len(names),), value))

    def standardise(self, labels: Tensor, group: ProcessGroup) -> None:
        """Learn the units of the outcomes from all workers' training labels (N, K), NaN where nobody knows.

        Raises ValueError for an outcome that no row knows.
        """
        given, known = labels.double().nan_to_num(), (~labels.isnan()).double()
        rows = torch.full((1, len(self.center)), float(len(labels)), dtype=torch.float64)
        sums = torch.cat([torch.stack([known.sum(0), given.sum(0), given.square().sum(0)]), rows])
        n, total, squares, everything = group.sum(sums.to(self.center.device))
        for place in torch.nonzero(n == 0).flatten().tolist():
            raise ValueError(
                f"outcome {self.config.outcomes[place].name!r}: none of {int(everything[0]):,} training rows knows it, "
                "expected some; leave it out of training.ranker.outcomes, or raise features.outcome_days"
            )
        mean = total / n
        spread = (squares / n - mean.square()).clamp(min=1e-6).sqrt()
        number = torch.tensor([task.form != "whether" for task in self.config.outcomes], device=self.center.device)
        self.center.copy_(torch.where(number, mean, 0))
        self.scale.copy_(torch.where(number, spread, 1))
        self.share.copy_(n / everything)

    def losses(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """(B, K) negative log-likelihoods: of a logit, of cumulative logits, of a number with variance 1.

        0 where nobody knows.
        """
        known, labels = ~labels.isnan(), labels.nan_to_num()
        found = []
        for place, task in enumerate(self.config.outcomes):
            output, label = outputs[:, place], labels[:, place]
            if task.form == "whether":
                found.append(F.binary_cross_entropy_with_logits(output, label, reduction="none"))
            elif task.form == "stars" and self.ordinal is not None:
                found.append(self.ordinal.losses(output, label))
            else:
                found.append((output - (label - self.center[place]) / self.scale[place]).square() / 2)
        return torch.stack(found, dim=1) * known

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Sum over rows, so that shares of workers add up; each outcome counts as its mean over the rows that know it.

        With learned weights L_k / σ_k² + log σ_k (Kendall, Gal and Cipolla, CVPR 2018, eq. 10).
        """
        each = self.losses(outputs, labels)
        if self.log_variance is not None:
            each = torch.exp(-self.log_variance) * each + self.log_variance / 2 * ~labels.isnan()
        return (each * self.fixed / self.share).sum()

    def predictions(self, outputs: Tensor) -> Tensor:
        """(B, K) in the outcomes' own units: logits, logs of values, stars."""
        found = self.center + self.scale * outputs
        if self.ordinal is not None:
            stars = [task.form == "stars" for task in self.config.outcomes].index(True)
            found[:, stars] = self.ordinal.expected(outputs[:, stars])
        return found


def towers(width: int, config: MultiTaskConfig) -> nn.ModuleList:
    """An outcome's own layers each: (B, width) → (B, 1)."""
    widths = (width, *config.tower)
    return nn.ModuleList(nn.Sequential(mlp(widths, config.dropout), nn.Linear(widths[-1], 1)) for _ in config.outcomes)


class Experts(nn.Module):
    """`n` networks of their own: (B, widths[0]) → (B, n, widths[-1])."""

    def __init__(self, n: int, widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.experts = nn.ModuleList(mlp(widths, dropout) for _ in range(n))

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([expert(x) for expert in self.experts], dim=1)


def mixed(shares: Tensor, said: Tensor) -> Tensor:
    """What experts said (B, E, H), by the logits (B, E) of their shares → (B, H)."""
    return torch.einsum("be,beh->bh", torch.softmax(shares, dim=1), said)


def beside(embedded: Tensor, dense: Tensor) -> Tensor:
    """Embeddings (B, F, k) and dense features (B, D) side by side."""
    return torch.cat([embedded.flatten(1), dense], dim=1)
