"""The click-through (CTR) ranker: DCNv2 or DeepFM over ids, history and dense features."""

import torch
from torch import Tensor, nn

from llmrec.config import RankerConfig
from llmrec.models.layers import IdEmbedding, MeanPool, TargetAttention, mlp


class CrossNetwork(nn.Module):
    """x_{l+1} = x_0 ⊙ (W_l x_l + b_l) + x_l (DCN V2: Wang et al., WWW 2021, section 3.2, eq. 1).

    With `rank`, W_l = U_l V_l^T with V_l (dim, rank) (section 3.3, eq. 2): text makes dim large and W_l costly.
    """

    def __init__(self, dim: int, n_layers: int, rank: int | None = None) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_cross_layer(dim, rank) for _ in range(n_layers))

    def forward(self, x0: Tensor) -> Tensor:
        """(B, D) → (B, D)."""
        x = x0
        for layer in self.layers:
            x = x0 * layer(x) + x
        return x


def _cross_layer(dim: int, rank: int | None) -> nn.Module:
    if rank is None or rank >= dim:
        return nn.Linear(dim, dim)
    return nn.Sequential(nn.Linear(dim, rank, bias=False), nn.Linear(rank, dim))


def pairwise_interactions(fields: Tensor) -> Tensor:
    """(B, n_fields, k) → (B,): sum of <v_i, v_j> over i < j, in linear time (Rendle, ICDM 2010, lemma 3.1)."""
    return 0.5 * (fields.sum(1).square() - fields.square().sum(1)).sum(1)


class DCNv2(nn.Module):
    """Cross network and deep network, side by side or one upon the other (Wang et al., 2021, section 3.4)."""

    def __init__(self, config: RankerConfig, dim: int) -> None:
        super().__init__()
        self.stacked = config.structure == "stacked"
        self.cross = CrossNetwork(dim, config.cross_layers, config.cross_rank)
        self.deep = mlp((dim, *config.hidden), config.dropout)
        deep_dim = (dim, *config.hidden)[-1]
        self.out = nn.Linear(deep_dim if self.stacked else dim + deep_dim, 1)

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) and dense features (B, D) → logits (B,)."""
        x = torch.cat([embedded.flatten(1), dense], dim=1)
        crossed = self.cross(x)
        joint = self.deep(crossed) if self.stacked else torch.cat([crossed, self.deep(x)], dim=1)
        logits: Tensor = self.out(joint).squeeze(1)
        return logits


class DeepFM(nn.Module):
    """Sigmoid input y_FM + y_DNN over shared embeddings (Guo et al., IJCAI 2017, eq. 1 to 4).

    A dense feature is a field of its own: its value times its latent vector.
    """

    def __init__(self, config: RankerConfig, dim: int, n_fields: int) -> None:
        super().__init__()
        k = config.embedding_dim
        n_dense = dim - n_fields * k
        self.first_order = nn.Linear(dim, 1)
        self.latent = nn.Parameter(torch.randn(n_dense, k) * 0.05)
        self.deep = mlp((dim, *config.hidden), config.dropout)
        self.out = nn.Linear((dim, *config.hidden)[-1], 1)

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) and dense features (B, D) → logits (B,)."""
        x = torch.cat([embedded.flatten(1), dense], dim=1)
        fields = torch.cat([embedded, dense.unsqueeze(2) * self.latent], dim=1)  # (B, F + D, k)
        deep = self.out(self.deep(x)).squeeze(1)
        logits: Tensor = self.first_order(x).squeeze(1) + pairwise_interactions(fields) + deep
        return logits


class Ranker(nn.Module):
    """P(click | user, item, time) as a logit. Fields: user id, item id, pooled history; then the dense features.

    `n_users`, `n_items`: sizes of the vocabularies, index 0 being "unknown".
    """

    N_FIELDS = 3

    def __init__(self, config: RankerConfig, n_users: int, n_items: int, history_length: int, dense_dim: int) -> None:
        super().__init__()
        self.config, self.dense_dim, self.history_length = config, dense_dim, history_length
        k = config.embedding_dim
        self.users = IdEmbedding(n_users, k, config.id_dropout)
        self.items = IdEmbedding(n_items, k, config.id_dropout)
        self.pool = TargetAttention(k) if config.history == "din" else MeanPool()
        dim = self.N_FIELDS * k + dense_dim
        self.body = DCNv2(config, dim) if config.kind == "dcnv2" else DeepFM(config, dim, self.N_FIELDS)

    def forward(self, user_idx: Tensor, item_idx: Tensor, history: Tensor, ages: Tensor, dense: Tensor) -> Tensor:
        """Logits (B,).

        Args:
            user_idx, item_idx: (B,); `history`: (B, L) item_idx, left-padded with 0.
            ages: (B, L) log(1 + days) since each item of the history.
            dense: (B, D) user ‖ item ‖ pair features.
        """
        item = self.items(item_idx)
        past, known = self.items.table(history), history > 0
        seen = (past, known, ages, item) if isinstance(self.pool, TargetAttention) else (past, known, ages)
        pooled = self.pool(*seen)
        embedded = torch.stack([self.users(user_idx), item, pooled], dim=1)  # (B, 3, k)
        logits: Tensor = self.body(embedded, dense)
        return logits
