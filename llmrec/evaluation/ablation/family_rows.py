"""The labelled rows that the study of feature families fits and measures on, apart by time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.features.arrays import vectors_of
from llmrec.features.dataset.rows import load_spec
from llmrec.features.families.columns import FeatureColumn
from llmrec.schema import Column as C
from llmrec.storage import Artifact

#: Clicks (each with its negatives) looked at in training and in the test; where there are more, every n-th is.
CLICKS = 10_000
SIDES = (C.USER_FEATURES, C.ITEM_FEATURES, C.PAIR_FEATURES)


@dataclass(frozen=True)
class SplitRows:
    """Rows in order of time: `values` (n, D) float32, `click` (n,) bool, `user` (n,) any integers, one a user."""

    values: npt.NDArray[np.float32]
    click: npt.NDArray[np.bool_]
    user: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.click)

    def take(self, rows: npt.NDArray[np.bool_]) -> Self:
        return type(self)(self.values[rows], self.click[rows], self.user[rows])

    @property
    def has_both_labels(self) -> bool:
        return bool(self.click.any() and not self.click.all())


@dataclass(frozen=True)
class StudyRows:
    """D columns; models are fitted on `fit` (before T1), chosen on `validation` ([T1, T2)), measured on `test`."""

    columns: tuple[FeatureColumn, ...]
    fit: SplitRows
    validation: SplitRows
    test: SplitRows

    @classmethod
    def read(cls, examples: Artifact, columns: Sequence[FeatureColumn]) -> Self:
        """From an `examples` artifact of fold `test`, whose split `train` holds everything before T2.

        As in training, a click on an item that nobody could have recommended yet is not learned from; the test keeps
        it, as the click table does.
        """
        train, times = _read(examples, (pc.field(C.SPLIT) == "train") & pc.field(C.CANDIDATE))
        test, _ = _read(examples, pc.field(C.SPLIT) == "test")
        early = times < examples.manifest.info["t1"]
        return cls(tuple(columns), train.take(early), train.take(~early), test)

    @property
    def measurable(self) -> bool:
        """Whether each part has clicks and others."""
        return all(part.has_both_labels for part in (self.fit, self.validation, self.test))

    @property
    def families(self) -> list[str]:
        """In the order of their columns."""
        return list(dict.fromkeys(c.family for c in self.columns))


def all_columns(examples: Artifact) -> list[FeatureColumn]:
    """What the columns of `values` are: user, item and pair features, whether a run selects them or not."""
    spec = load_spec(examples)
    return [*spec.user_columns, *spec.item_columns, *spec.pair_columns]


def values_of_rows(table: pa.Table) -> npt.NDArray[np.float32]:
    """(n, D) of rows of `examples`."""
    return np.concatenate([vectors_of(table[side]) for side in SIDES], axis=1)


def _read(examples: Artifact, condition: pc.Expression) -> tuple[SplitRows, npt.NDArray[np.int64]]:
    """The rows that satisfy the condition, whole clicks thinned evenly over time, and their times (ms)."""
    data = examples.dataset("examples")
    step = max(1, -(-data.count_rows(filter=condition & (pc.field(C.CLICK) == 1)) // CLICKS))
    wanted = [C.QUERY_ID, C.TIMESTAMP, C.USER_ID, C.ITEM_ID, C.CLICK, *SIDES]
    batches = data.scanner(columns=wanted, filter=condition).to_batches()
    kept = [b.filter(pa.array(b[C.QUERY_ID].to_numpy() % step == 0)) for b in batches]
    table = pa.Table.from_batches(kept, pa.schema([data.schema.field(name) for name in wanted]))
    table = table.sort_by([(name, "ascending") for name in (C.TIMESTAMP, C.QUERY_ID, C.ITEM_ID)])
    _, user = np.unique(np.asarray(table[C.USER_ID].to_pylist(), object), return_inverse=True)
    rows = SplitRows(values_of_rows(table), table[C.CLICK].to_numpy() > 0, user.astype(np.int64))
    return rows, table[C.TIMESTAMP].to_numpy()
