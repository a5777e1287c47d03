"""The labels of examples, by the names that a configuration gives outcomes."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from llmrec.config.data.outcomes import CLICK, LIKE, STARS, TaskConfig
from llmrec.features.arrays import Floats32
from llmrec.names import nearest
from llmrec.schema import HAPPENED_PREFIX, VALUE_PREFIX
from llmrec.schema import Column as C

_OWN = {CLICK: C.CLICK, LIKE: C.LIKE, STARS: C.STARS}


def label_columns(outcomes: Iterable[TaskConfig], held: Sequence[str]) -> set[str]:
    """The columns that say these outcomes. Raises ValueError for a kind of events of which `held` has none."""
    found = set[str]()
    for task in outcomes:
        if task.kind in _OWN:
            found.add(_OWN[task.kind])
            continue
        if f"{HAPPENED_PREFIX}{task.kind}" not in held:
            known = (*_OWN, *(n.removeprefix(HAPPENED_PREFIX) for n in held if n.startswith(HAPPENED_PREFIX)))
            raise ValueError(
                f"outcome {task.kind!r}: the corpus has no such events; the nearest is {nearest(task.kind, known)!r}; "
                f"expected one of {', '.join(known)}"
            )
        found |= {f"{HAPPENED_PREFIX}{task.kind}", f"{VALUE_PREFIX}{task.kind}"}
    return found


def labels_of(batch: pa.RecordBatch, outcomes: Sequence[TaskConfig]) -> Floats32:
    """(n, K) of rows of examples; NaN where nobody knows."""
    columns = [_label(batch, task) for task in outcomes]
    return np.stack(columns, axis=1) if columns else np.zeros((batch.num_rows, 0), np.float32)


def _label(batch: pa.RecordBatch, task: TaskConfig) -> Floats32:
    if task.kind in _OWN:
        return _numbers(batch, _OWN[task.kind])
    value = _numbers(batch, f"{VALUE_PREFIX}{task.kind}")
    if task.form == "log_value":
        return np.asarray(np.log1p(np.maximum(value, 0)), np.float32)
    happened = _numbers(batch, f"{HAPPENED_PREFIX}{task.kind}")
    if task.at_least is None:
        return happened
    return np.where(np.isnan(happened), happened, (value >= task.at_least).astype(np.float32))


def _numbers(batch: pa.RecordBatch, name: str) -> Floats32:
    return np.asarray(batch[name].cast(pa.float32()).to_numpy(zero_copy_only=False), np.float32)
