"""The network: items and reviews as tokens, then blocks of a model's own that see how long ago things were."""

import math
from collections.abc import Callable
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from llmrec.config.base import Section
from llmrec.models.networks.layers import IdEmbedding
from llmrec.models.networks.optimization import OptimizationConfig, Schedule

#: A bucket of time for each doubling of 1 + hours: the last begins after 60 years.
BUCKETS = 20


class AugmentConfig(Section):
    """How training sequences are shown otherwise than they were (`augment.py`): shares, each 0 by default."""

    crop: float = Field(0.0, ge=0, lt=1, description="of the sequences: what was before a drawn event is not shown")
    mask: float = Field(0.0, ge=0, lt=1, description="of the events: shown as an unknown item without words")
    reorder: float = Field(
        0.0, ge=0, lt=1, description="of the sequences: up to half of the events, in a row, change places"
    )

    @property
    def any(self) -> bool:
        return self.crop > 0 or self.mask > 0 or self.reorder > 0


class SequenceConfig(OptimizationConfig):
    """What the settings of every model of sequences hold; the training is that of eSASRec."""

    inputs: Literal["ids", "texts", "both"] = Field(
        "both", description="what an item is to it; where a variant reads no words, ids whatever is set"
    )
    dim: int = Field(64, ge=4, description="length of the unit vectors; an item's bias is one dimension more")
    layers: int = Field(2, ge=1)
    heads: int = Field(2, ge=1)
    positions: str  # each model names those that it knows
    time_gaps: bool = Field(True, description="attention sees how long ago each event was, as of the next one")
    epochs: int = Field(20, ge=1, description="at most; validation chooses how many")
    patience: int = Field(3, ge=1, description="epochs without a better validation metric before the search ends")
    batch_size: int = Field(64, ge=1, description="sequences a worker and step; they are neighbours in time")
    sampled_negatives: int = Field(512, ge=0, description="uniformly drawn items a batch beside the in-batch ones")
    learning_rate: float = Field(3e-3, gt=0, description="the highest, where it changes")
    schedule: Schedule = "cosine"
    warm_up: float = Field(0.1, ge=0, lt=1, description="share of the steps of all `epochs` in which the rate rises")
    weight_decay: float = Field(1e-2, ge=0)
    temperature: float = Field(0.1, gt=0, description="divides the cosine; learned from there")
    dropout: float = Field(0.2, ge=0, lt=1)
    id_dropout: float = Field(0.2, ge=0, lt=1, description="share of ids replaced by `unknown` where there are words")
    augment: AugmentConfig = Field(default_factory=AugmentConfig, description="sequences shown otherwise in training")

    @model_validator(mode="after")
    def _heads_share_the_vector(self) -> Self:
        if self.dim % (2 * self.heads):
            raise ValueError(f"dim must be a multiple of twice heads ({2 * self.heads}), found {self.dim}")
        return self


class Tokens(nn.Module):
    """Items as vectors, from ids, words or both, and the same of the events of a sequence."""

    def __init__(self, config: SequenceConfig, n_items: int, text_dim: int) -> None:
        super().__init__()
        self.dim, ids = config.dim, config.inputs != "texts" or not text_dim
        dropout = config.id_dropout if text_dim else 0.0  # without words there is nothing else to go by
        self.ids = IdEmbedding(n_items, config.dim + 1, dropout) if ids else None  # the last number is the bias
        self.wide = nn.Linear(2 * text_dim, config.dim, bias=False) if text_dim else None
        deep = (nn.Linear(2 * text_dim, config.dim), nn.GELU(), nn.Linear(config.dim, config.dim)) if text_dim else ()
        self.deep = nn.Sequential(*deep)
        self.review = nn.Linear(text_dim, config.dim, bias=False) if text_dim else None

    def items(self, idx: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        """(…,) idx and (…, 2 D) own text and reviews → (…, dim), and (…, 1) biases."""
        found = texts.new_zeros((*idx.shape, self.dim + 1)) if self.ids is None else self.ids(idx)
        vector, bias = found[..., :-1], found[..., -1:]
        return (vector if self.wide is None else vector + self.wide(texts) + self.deep(texts)), bias

    def events(self, idx: Tensor, texts: Tensor, reviews: Tensor) -> Tensor:
        """(B, L), (B, L, 2 D) and the user's own words (B, L, D) → (B, L, dim)."""
        vector, _ = self.items(idx, texts)
        return vector if self.review is None else vector + self.review(reviews)


#: (settings, length) → a module: (B, L, dim), (B, L, L) whether a place may look at another, and (B, L, L) the bucket
#: of how long before its moment that was (None: not told) → (B, L, dim).
Block = Callable[..., nn.Module]


class SequenceNet(nn.Module):
    """Tokens, places and ages of the events, blocks, and what follows each place, scored as the two-tower is.

    `length`: places of the longest sequence. A cropped sequence has the last of them.
    """

    positions: Tensor

    def __init__(self, config: SequenceConfig, block: Block, n_items: int, text_dim: int, length: int) -> None:
        super().__init__()
        self.config, self.vector_dim, self.length = config, config.dim + 1, length
        self.tokens = Tokens(config, n_items, text_dim)
        self.gap = nn.Embedding(BUCKETS, config.dim) if config.time_gaps else None
        if self.gap is not None:
            nn.init.zeros_(self.gap.weight)  # a span that training never saw says nothing
        if config.positions == "learned":
            self.positions = nn.Parameter(torch.randn(length, config.dim) * 0.02)
        elif config.positions == "sinusoidal":
            self.register_buffer("positions", 0.02 * sinusoids(length, config.dim), persistent=False)
        self.blocks = nn.ModuleList(block(config, length) for _ in range(config.layers))
        self.norm, self.to_item = nn.LayerNorm(config.dim), nn.Linear(config.dim, config.dim)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(config.temperature)))

    def user_vectors(
        self, idx: Tensor, texts: Tensor, reviews: Tensor, real: Tensor, times: Tensor, until: Tensor
    ) -> Tensor:
        """(B, L, vector_dim): what follows each place, asked at `until`. All (B, L, …), left-padded; times in hours."""
        n = idx.shape[1]
        x = self.tokens.events(idx, texts, reviews)
        if self.config.positions in ("learned", "sinusoidal"):
            x = x + self.positions[self.length - n :]
        if self.gap is not None:
            x = x + self.gap(buckets_of(until - times))
        x = F.dropout(x, self.config.dropout, self.training)
        causal = torch.ones((n, n), dtype=torch.bool, device=x.device).tril()
        allowed = (causal & real.unsqueeze(1)) | torch.eye(n, dtype=torch.bool, device=x.device)
        ages = buckets_of(until.unsqueeze(2) - times.unsqueeze(1)) if self.gap is not None else None
        for block in self.blocks:
            x = block(x, allowed, ages)
        unit = F.normalize(self.to_item(self.norm(x)), dim=-1)
        scale = self.log_scale.clamp(max=math.log(100)).exp()
        return torch.cat([unit * scale, torch.ones_like(unit[..., :1])], dim=-1)

    def item_vectors(self, idx: Tensor, texts: Tensor) -> Tensor:
        """(I,), (I, 2 D) → (I, vector_dim); all but the last number are a unit vector."""
        vector, bias = self.tokens.items(idx, texts)
        return torch.cat([F.normalize(vector, dim=-1), bias], dim=-1)


def buckets_of(hours: Tensor) -> Tensor:
    """The bucket of each span of time, by doublings of 1 + hours."""
    return torch.log2(1 + hours.clamp(min=0)).long().clamp(max=BUCKETS - 1)


def sinusoids(length: int, dim: int) -> Tensor:
    """(length, dim), Vaswani et al., NIPS 2017, section 3.5."""
    angle = torch.arange(length)[:, None] * 10_000 ** (-torch.arange(0, dim, 2) / dim)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
