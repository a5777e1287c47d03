"""Fitting calibrators on validation rows: of the click, and of each outcome that may happen or not."""

from collections.abc import Mapping

import numpy as np

from llmrec.config.data.outcomes import CLICK
from llmrec.features.dataset.rows import read_examples
from llmrec.models.base import Calibrator, Floats, Ranker
from llmrec.storage import Artifact


def uncertain(ranker: Ranker) -> list[str]:
    """The outcomes beside the click that have a probability."""
    return [task.name for task in ranker.outcomes if task.form == "whether" and task.name != CLICK]


def calibrate(calibrators: Mapping[str, Calibrator], ranker: Ranker, examples: Artifact) -> dict[str, dict[str, float]]:
    """Fit each on the validation rows that know its outcome, clicks and negatives in order of time; what these say.

    An outcome that happened never, or always, in either half of them keeps the ranker's own probability.
    """
    c = ranker.context
    rows = read_examples(
        examples, "validation", c.selection, c.history_length, with_ids=False, outcomes=ranker.outcomes
    )
    labels = {task.name: rows.outcomes[:, place] for place, task in enumerate(ranker.outcomes)} | {CLICK: rows.click}
    said = {CLICK: ranker.logits(rows)} | ranker.predictions(rows)
    found = {}
    for name, calibrator in calibrators.items():
        known = np.isfinite(labels[name])
        label = labels[name][known]
        if name != CLICK and not _both_kinds(label):
            continue
        told = calibrator.fit(said[name][known], label)
        if told:
            found["calibrator" if name == CLICK else f"calibrator.{name}"] = told
    return found


def _both_kinds(label: Floats) -> bool:
    halves = label[: len(label) // 2], label[len(label) // 2 :]
    return all(0 < half.sum() < len(half) for half in halves)
