"""Labelled rows of `examples` as one variant reads them, apart by time: what rankers of a label table learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from llmrec.config.data.outcomes import TaskConfig
from llmrec.features.asof.interactions import Ints
from llmrec.features.dataset.rows import Examples, read_examples
from llmrec.models.base import ModelContext
from llmrec.schema import event_order
from llmrec.storage import Artifact

Label = Literal["click", "like"]
#: Clicks (each with its negatives) or reviews that are learned from; where there are more, every n-th is.
LIMITS: dict[Label, int] = {"click": 10_000, "like": 100_000}


@dataclass(frozen=True)
class LabelRows:
    """Fitted on `fit`, chosen on `validation`, fitted anew on `train`, which is both, and asked about `test`.

    Test rows are in order: clicks with their negatives behind each, reviews in order of events.
    """

    fit: Examples  # before T1
    validation: Examples  # [T1, T2)
    train: Examples
    test: Examples

    @classmethod
    def read(cls, examples: Artifact, context: ModelContext, label: Label, outcomes: Sequence[TaskConfig] = ()) -> Self:
        """From an `examples` artifact of fold `test`, whose split `train` holds everything before T2.

        `outcomes`: labels beside.
        """

        def rows(split: str) -> Examples:
            chosen, length = context.selection, context.history_length
            return read_examples(
                examples, split, chosen, length, label=label, candidates_only=split == "train", outcomes=outcomes
            )

        found = rows("train")
        step = max(1, -(-len(np.unique(found.query)) // LIMITS[label]))
        train = in_order(found.take(np.flatnonzero(found.query % step == 0)), label)
        early = train.times < examples.manifest.info["t1"]
        test = in_order(rows("test"), label)
        return cls(train.take(np.flatnonzero(early)), train.take(np.flatnonzero(~early)), train, test)

    @property
    def measurable(self) -> bool:
        """Whether there are rows of both kinds to learn from and to choose by."""
        return all(0 < rows.click.sum() < len(rows) for rows in (self.fit, self.validation))


def in_order(rows: Examples, label: Label) -> Examples:
    """Each click, then its negatives by item; reviews in order of events."""
    order: Ints
    if label == "click":
        order = np.lexsort((rows.item_ids.astype(str), -rows.click, rows.query))
    else:
        order = np.lexsort((event_order(rows.user_ids.tolist(), rows.item_ids.tolist()), rows.times))
    return rows.take(order)
