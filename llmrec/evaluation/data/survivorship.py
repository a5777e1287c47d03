"""Corpora that were cut with the future in view.

A k-core of a whole corpus keeps an item only because of all the events that it ever gets. One that is first seen after
T2 is then sure to get k of them in the time that is left: whatever knows what is new looks clever, and would not in a
shop. So does whatever likes the items that were below k at T2.
"""

from dataclasses import replace

import numpy as np

from llmrec.evaluation.data.folds import Fold, Split
from llmrec.evaluation.data.slices import Mask, SliceMask
from llmrec.evaluation.records.run import Core
from llmrec.features.asof.interactions import Interactions, Ints


def least(rows: Ints) -> int:
    """The fewest events that anybody with an event has; 0 without events."""
    counts = np.bincount(rows)
    return int(counts[counts > 0].min(initial=len(rows)))


def core_of(data: Interactions, t2: float) -> Core:
    """What speaks for a core, and how much of the test it decides."""
    fewest, asked = least(data.item), data.time >= t2
    early = np.bincount(data.item[~asked], minlength=data.n_items)[data.item[asked]]  # of each test event's item
    items = data.item[asked]
    born, short = early == 0, (early > 0) & (early < fewest)
    per_born = np.bincount(items[born], minlength=1)
    n = max(len(items), 1)
    return Core(
        least_item=fewest, least_user=least(data.user), born=len(np.unique(items[born])),
        born_share=float(born.sum() / n),
        least_born=int(per_born[per_born > 0].min()) if born.any() else None,
        owed=len(np.unique(items[short])), owed_share=float(short.sum() / n),
    )  # fmt: skip


def owed(fold: Fold) -> Mask:
    """(Q,) queries whose first relevant item has fewer events before the cut-off than a core of this corpus leaves any
    item: more were sure to come. Nothing is owed where some item has a single event."""
    data, q = fold.data, fold.queries
    fewest = least(data.item)
    early = np.bincount(data.item[data.time < (fold.t or 0)], minlength=data.n_items)
    return np.asarray((fewest > 1) & (early[q.item[q.indptr[:-1]]] < fewest))


def survivor_slices(fold: Fold) -> list[SliceMask]:
    """The queries without the items born after the cut-off, and without those owed events by a core."""
    if fold.t is None:
        return []
    data, q = fold.data, fold.queries
    seen = np.bincount(data.item[data.time < fold.t], minlength=data.n_items)[q.item[q.indptr[:-1]]] > 0
    late = owed(fold)
    found = [SliceMask("item at T2", "known by then", seen), SliceMask("item at T2", "born later", ~seen)]
    found += [SliceMask("core", "owed no event", ~late), SliceMask("core", "owed events", late)] if late.any() else []
    return [s for s in found if s.mask.any()]


def without_owed(split: Split) -> Split:
    """The same split, asked only what no core decides."""
    fold = split.test
    if fold.t is None:
        return split
    kept = np.flatnonzero(~owed(fold))
    said = f"{split.wording.description} Queries for an item that was owed events by the cut are left out."
    return replace(
        split, wording=replace(split.wording, description=said), test=replace(fold, queries=fold.queries.take(kept))
    )
