"""Where a network goes on from: the weights of a bundle, with rows for the ids that have come since."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from torch import nn

from llmrec.bundle_files import MODELS
from llmrec.features.arrays import Ints
from llmrec.features.asof.history_data import HistoryData
from llmrec.features.asof.ids import Ids
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.features.dataset.vocabulary import lookup
from llmrec.models.base import Arrays, ModelContext
from llmrec.models.files.store import WEIGHTS
from llmrec.models.files.weights_file import load_arrays
from llmrec.models.networks.layers import IdEmbedding
from llmrec.models.networks.weights import from_arrays


def carried_rows(old: tuple[Ids, Ints], new: tuple[Ids, Ints]) -> Ints:
    """(n_new + 1,) index that each index of the `new` vocabulary had in the old one, 0 where it had none.

    Vocabularies are given as the ids by row of a history, and the rows (n,) that are in it.
    """
    (old_ids, old_rows), (new_ids, new_rows) = old, new
    names = new_ids.take(new_rows).to_pylist()
    index = lookup(old_rows, old_ids.rows(names)) if names else np.zeros(0, np.int32)
    rows: Ints = np.concatenate([[0], index]).astype(np.int64)
    return rows


@dataclass(frozen=True)
class WarmStart:
    """The bundle in `folder`, and how many epochs its networks go on for."""

    folder: str
    epochs: int

    @cached_property
    def _before(self) -> tuple[FeatureSpec, HistoryData]:
        return FeatureSpec.load(f"{self.folder}/spec"), HistoryData.load(f"{self.folder}/history")

    def begin(self, key: str, net: nn.Module, context: ModelContext) -> None:
        """Fill a new network with the weights of the bundle's model `key`.

        Somebody new begins as row 0, which stands for whoever is not known: with the weights that answered so far.
        Raises WeightsError where other weights than those of ids have another shape.
        """
        spec, data = self._before
        now, new = context.spec, context.history.data
        users = carried_rows((data.user_ids, spec.user_vocabulary), (new.user_ids, now.user_vocabulary))
        items = carried_rows((data.item_ids, spec.item_vocabulary), (new.item_ids, now.item_vocabulary))
        arrays: Arrays = load_arrays(f"{self.folder}/{MODELS}/{key}/{WEIGHTS}")
        for name, side in id_tables(net, len(users), len(items)).items():
            arrays[name] = arrays[name][users if side == "user" else items]
        from_arrays(net, arrays)


def id_tables(net: nn.Module, n_users: int, n_items: int) -> dict[str, str]:
    """Name of the weights of each embedding of ids -> `user` or `item`, by its size; where both are, by its name."""
    found: dict[str, str] = {}
    for name, module in net.named_modules():
        if isinstance(module, IdEmbedding):
            n: Any = module.table.num_embeddings
            by_name = "user" if "user" in name else "item"
            found[f"{name}.table.weight"] = by_name if n_users == n_items else "user" if n == n_users else "item"
    return found
