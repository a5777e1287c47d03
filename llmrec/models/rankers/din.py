"""DIN: the candidate attends to the user's past items, on their ids and their words, and to how long ago they were."""

from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from llmrec.features.dataset.rows import Examples
from llmrec.features.families.text import unit
from llmrec.features.transforms.scaling import Scaler
from llmrec.models.attribution import IDS, Doubles, add, by_family
from llmrec.models.base import ModelContext, ModelInfo
from llmrec.models.networks.integrated_gradients import integrated_gradients
from llmrec.models.rankers.click_network import ClickNetwork, Inputs, NetworkConfig
from llmrec.models.rankers.network_ranker import NetworkRanker, tensors

#: The item's own text as the candidate has it, and what the words of past items count as in reasons.
_OWN, _PAST = "text_item_description", "text_user_sequence"


class DINConfig(NetworkConfig):
    name: Literal["din"] = "din"
    history: Literal["din"] = "din"
    hidden: tuple[int, ...] = (64, 32)


class DeepNetwork(nn.Module):
    """The MLP over everything (Zhou et al., KDD 2018, figure 2), with their PReLU."""

    def __init__(self, config: DINConfig, inputs: Inputs) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = (inputs.dim, *config.hidden)
        for width_in, width_out in pairwise(widths):
            layers += [nn.Linear(width_in, width_out), nn.PReLU(), nn.Dropout(config.dropout)]
        self.deep = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, embedded: Tensor, dense: Tensor) -> Tensor:
        """Embeddings (B, F, k) and dense features (B, D) → logits (B,)."""
        logits: Tensor = self.deep(torch.cat([embedded.flatten(1), dense], dim=1)).squeeze(1)
        return logits


class DIN(ClickNetwork):
    """An item is its id's embedding and a linear map of its own text, the candidate as the past items.

    `words` (n_items, W): that text of the vocabulary's items; `own`: where the candidate's is among the dense features.
    """

    config: NetworkConfig
    words: Tensor
    own: Tensor
    say: nn.Linear | None

    def describe(self, words: npt.NDArray[np.float32], own: list[int]) -> None:
        """Give the items their words; none, where there are none to read."""
        self.register_buffer("words", torch.as_tensor(words), persistent=False)
        self.register_buffer("own", torch.tensor(own, dtype=torch.int64), persistent=False)
        self.say = nn.Linear(len(own), self.config.embedding_dim, bias=False) if own else None

    def forward(self, user_idx: Tensor, item_idx: Tensor, history: Tensor, ages: Tensor, dense: Tensor) -> Tensor:
        return self.score(*self.read(user_idx, item_idx, history, ages, dense))

    def read(
        self, user_idx: Tensor, item_idx: Tensor, history: Tensor, ages: Tensor, dense: Tensor
    ) -> tuple[Tensor, ...]:
        """What `score` takes: user and item (B, k), past items (B, L, k), their words, known, ages; dense features."""
        known = (history > 0).to(dense.dtype)
        past = self.items.table(history)
        return self.users(user_idx), self.items(item_idx), past, self.words[history], known, ages, dense

    def score(
        self, user: Tensor, item: Tensor, past: Tensor, words: Tensor, known: Tensor, ages: Tensor, dense: Tensor
    ) -> Tensor:
        """Logits (B,)."""
        if self.say is not None:
            item, past = item + self.say(dense[:, self.own]), past + self.say(words)
        pooled = self.pool(past, known, ages, item)
        logits: Tensor = self.body(torch.stack([user, item, pooled], dim=1), dense)
        return logits


class DINRanker(NetworkRanker):
    Config = DINConfig
    INFO = ModelInfo("DIN", "attention of the candidate over past items, on ids, words and ages, and a deep network",
                     "features", "Zhou et al., KDD 2018", output="probability")  # fmt: skip
    body = DeepNetwork
    net: DIN

    def make_net(self) -> DIN:
        net = DIN.of(self.config, type(self).body, self.context)
        net.describe(*words_of(self.context))
        return net

    def attributions(self, rows: Examples) -> dict[str, Doubles]:
        """By integrated gradients; the embeddings of ids, and which of the past are known and how old, are IDS."""
        self.net.eval()
        read = self.net.read(*tensors(rows))
        *ids, dense = integrated_gradients(self.net.score, read)
        words = ids.pop(3)
        found = by_family((c.family for c in self.context.dense), dense.numpy())
        found = add(found, {IDS: torch.cat([part.flatten(1) for part in ids], dim=1).sum(dim=1).double().numpy()})
        return add(found, {_PAST: words.sum(dim=(1, 2)).double().numpy()}) if self.net.say is not None else found


def words_of(context: ModelContext) -> tuple[npt.NDArray[np.float32], list[int]]:
    """(n_items, W) own texts of the vocabulary's items, scaled as a candidate's are among the dense features, and the
    places of these; zero for an item without words, W = 0 where the variant reads none."""
    spec, columns = context.spec, context.spec.item_columns
    family = np.flatnonzero([c.family == _OWN for c in columns])
    kept = np.isin(family, context.selection.item)
    places = len(context.selection.user) + np.flatnonzero(np.isin(context.selection.item, family))
    found = np.zeros((spec.n_items, int(kept.sum())), np.float32)
    if len(places):
        scaler = spec.scalers["item"]
        of_them = Scaler(scaler.centre[family], scaler.scale[family], scaler.block[family])
        found[1:] = of_them(unit(context.history.data.description[spec.item_vocabulary]))[:, kept]
    return found, places.tolist()
