"""How much each feature family counts in the towers at each click of the test: what a learned fusion says of itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from llmrec.bundle import Bundle
from llmrec.evaluation.records.families import FamilyWeight, FusionWeights
from llmrec.features.arrays import vectors_of
from llmrec.features.asof.interactions import Floats, Ints
from llmrec.features.families.columns import FeatureSelection
from llmrec.files import writing
from llmrec.models.networks.fusion import Fusion
from llmrec.models.retrievers.two_tower.net import TwoTower
from llmrec.schema import FAMILY_WEIGHTS
from llmrec.schema import Column as C
from llmrec.storage import Artifact

Weights = npt.NDArray[np.float32]
#: Counted intervals of [0, 1]: quantiles are right to half of one, whatever the number of clicks.
_BINS = 1 << 16
#: Rows of `examples` that are in memory at once: a click and its negatives each.
_ROWS = 1 << 16


def family_weights(bundle: Bundle, examples: Artifact, uri: str) -> FusionWeights | None:
    """Write `uri` by `schema.FAMILY_WEIGHTS`, a record batch of `examples` in memory at a time, and sum it up.

    None, and no file, where there is nothing to tell: a fusion without learned weights (`concat`, `mean`), a variant
    without features, a test without clicks.
    """
    towers = bundle.models.retrievers.get("two_tower")
    fusion = towers.config.fusion if towers else "concat"
    if towers is None or fusion == "concat" or fusion == "mean":
        return None
    sides = _sides(towers.net, bundle.context.selection)  # type: ignore[attr-defined]
    clicks = (pc.field(C.SPLIT) == "test") & (pc.field(C.CLICK) == 1)
    shares = Shares(sum(len(s.fusion.names) for s in sides))
    if not shares.width or not examples.dataset("examples").count_rows(filter=clicks):
        return None
    with writing(uri) as out, pq.ParquetWriter(out, FAMILY_WEIGHTS, compression="zstd") as parquet:
        for batch in _batches(examples, clicks):
            weights = np.concatenate([s.weights(batch) for s in sides], axis=1)
            shares.add(weights)
            parquet.write_table(_rows(batch, sides, weights))
    return FusionWeights(variant=bundle.variant, fusion=fusion, n_clicks=shares.n, families=_entries(sides, shares))


@dataclass(frozen=True)
class _Side:
    """A tower's fusion, and which columns of `examples` it reads."""

    name: Literal["user", "item"]
    column: str
    chosen: Ints
    fusion: Fusion

    def weights(self, batch: pa.RecordBatch) -> Weights:
        """(B, n_families), float32."""
        with torch.inference_mode():
            found = self.fusion.weights(torch.from_numpy(vectors_of(batch[self.column])[:, self.chosen]))
        return np.asarray(found.numpy(), np.float32)


def _sides(net: TwoTower, chosen: FeatureSelection) -> list[_Side]:
    return [
        _Side("user", C.USER_FEATURES, chosen.user, net.eval().user_tower.fusion),
        _Side("item", C.ITEM_FEATURES, chosen.item, net.item_tower.fusion),
    ]


class Shares:
    """Mean and quantiles of columns of numbers in [0, 1] that come in batches, in memory that does not grow."""

    def __init__(self, width: int) -> None:
        self.width, self.n = width, 0
        self._sum, self._counts = np.zeros(width), np.zeros((width, _BINS), np.int64)
        self._least, self._most = np.ones(width, np.float32), np.zeros(width, np.float32)

    def add(self, values: Weights) -> None:
        """(B, width)."""
        self.n += len(values)
        self._sum += values.sum(axis=0, dtype=np.float64)
        np.add.at(self._counts, (np.arange(self.width), np.minimum((values * _BINS).astype(np.int64), _BINS - 1)), 1)
        self._least = np.minimum(self._least, values.min(axis=0, initial=1))
        self._most = np.maximum(self._most, values.max(axis=0, initial=0))

    def mean(self) -> Floats:
        """(width,)"""
        return np.asarray(self._sum / self.n)

    def quantile(self, q: float) -> Floats:
        """(width,) the smallest value that a share `q` of the rows does not exceed, to 1 / (2 · _BINS)."""
        place = (np.cumsum(self._counts, axis=1) >= q * self.n).argmax(axis=1)
        return np.asarray(np.clip((place + 0.5) / _BINS, self._least, self._most), np.float64)


def _batches(examples: Artifact, condition: pc.Expression) -> Iterator[pa.RecordBatch]:
    """The rows that satisfy the condition, in order of the artifact's files.

    File by file: a scan of them all decodes up to a GiB ahead of a slow reader.
    """
    columns = [C.QUERY_ID, C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.USER_FEATURES, C.ITEM_FEATURES]
    for file in examples.dataset("examples").get_fragments():
        for batch in file.to_batches(columns=columns, filter=condition, batch_size=_ROWS, batch_readahead=1):
            if batch.num_rows:
                yield batch


def _rows(batch: pa.RecordBatch, sides: Sequence[_Side], weights: Weights) -> pa.Table:
    """A batch's weights (B, n), one row each: click by click, the user tower's families first."""
    n_clicks, width = weights.shape
    click, place = pa.array(np.repeat(np.arange(n_clicks), width)), pa.array(np.tile(np.arange(width), n_clicks))
    owners = [(s.name, family) for s in sides for family in s.fusion.names]
    columns = {
        C.QUERY_ID: batch[C.QUERY_ID].take(click),
        C.USER_ID: batch[C.USER_ID].dictionary_encode().take(click),
        C.ITEM_ID: batch[C.ITEM_ID].dictionary_encode().take(click),
        C.TIMESTAMP: batch[C.TIMESTAMP].take(click),
        C.SIDE: pa.array([side for side, _ in owners]).dictionary_encode().take(place),
        C.FAMILY: pa.array([family for _, family in owners]).dictionary_encode().take(place),
        C.WEIGHT: weights.ravel(),
    }
    return pa.table(columns, schema=FAMILY_WEIGHTS)


def _entries(sides: Sequence[_Side], shares: Shares) -> list[FamilyWeight]:
    owners = [(s.name, family) for s in sides for family in s.fusion.names]
    figures = zip(shares.mean().tolist(), shares.quantile(0.05).tolist(), shares.quantile(0.95).tolist(), strict=True)
    return [
        FamilyWeight(side=side, family=family, mean=mean, q05=low, q95=high)
        for (side, family), (mean, low, high) in zip(owners, figures, strict=True)
    ]
