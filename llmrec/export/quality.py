"""What the lists of a recommender are worth, beside those of the same one with other numbers inside."""

import time
from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from llmrec.evaluation.statistics.bootstrap import Bootstrap
from llmrec.evaluation.statistics.comparisons import Pair, compare
from llmrec.export.entry_points import Entered, EntryPoint
from llmrec.models import metrics
from llmrec.models.retrievers.nearest.retriever import NearestRetriever
from llmrec.models.validation import ValidationQueries
from llmrec.recommender import Recommender
from llmrec.variants import VALIDATED

Lists = npt.NDArray[np.int64]
#: The relative loss that is told from none, and the intervals' confidence.
MARGIN, CONFIDENCE = 0.01, 0.95
_ROUNDS = 30


def lists(recommender: Recommender, queries: ValidationQueries, instead: Mapping[str, Entered],
          entries: list[EntryPoint]) -> Lists:  # fmt: skip
    """(Q, k) item rows of VALIDATED's length, `instead` answering by entry point."""
    with ExitStack() as stack:
        for entry in entries:
            if entry.name in instead:
                stack.enter_context(entry.replaced(instead[entry.name]))
        _forget(recommender)
        found = recommender.recommend(queries.users, queries.times, metrics.parse(VALIDATED)[1])[0]
    _forget(recommender)
    return found


def _forget(recommender: Recommender) -> None:
    for model in recommender.models.retrievers.values():
        if isinstance(model, NearestRetriever):
            model.refit()


def ndcg(found: Lists, targets: Lists) -> npt.NDArray[np.float64]:
    """(Q,) VALIDATED of each list with one target."""
    hit = found == targets[:, None]
    name, k = metrics.parse(VALIDATED)
    return metrics.ranking(hit, np.ones(len(targets), np.int64), [k], [name])[VALIDATED]


def beside(found: Lists, reference: Lists, queries: ValidationQueries, seed: int) -> dict[str, float | str | None]:
    """How the lists `found` differ from the `reference`: in what they are worth, and in what is listed."""
    bootstrap = Bootstrap(queries.users.rows, 2, seed, queries.targets)
    a, b = bootstrap.means([ndcg(found, queries.targets), ndcg(reference, queries.targets)])
    difference = compare([Pair("found", "reference", VALIDATED, a, b)], CONFIDENCE, MARGIN)[0]
    same = (found[:, :, None] == reference[:, None, :]).any(axis=1)[reference >= 0]
    told = {"low": difference.difference.low, "high": difference.difference.high, "verdict": difference.verdict}
    return {VALIDATED: a.value, "difference": a.value - b.value, **told, "overlap": float(same.mean())}


def milliseconds(calls: Mapping[str, Entered], asked: tuple[Tensor, ...]) -> dict[str, float]:
    """The median of each call of `asked`, in turns, so that a busy machine is as busy for all."""
    spent: dict[str, list[float]] = {name: [] for name in calls}
    with torch.inference_mode():
        for _ in range(_ROUNDS):
            for name, call in calls.items():
                started = time.perf_counter()
                call(*asked)
                spent[name].append(1000 * (time.perf_counter() - started))
    return {name: float(np.median(values)) for name, values in spent.items()}
