"""Fitting and laying out one fold in memory: from tables and vectors to a history, a spec and clicks."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from llmrec.config import FeaturesConfig
from llmrec.features.asof import Floats32
from llmrec.features.examples import Clicks, example_table
from llmrec.features.families import Side
from llmrec.features.history import History
from llmrec.features.history_data import SEQUENCE, TEXT
from llmrec.features.negatives import NegativeSampler
from llmrec.features.profiles import vectors_of
from llmrec.features.reduction import Reduction, fit_reduction
from llmrec.features.spec import FeatureSpec
from llmrec.features.vectors import vector_columns
from llmrec.schema import Column as C

Fold = Literal["validation", "test"]


@dataclass(frozen=True)
class Prepared:
    """All that example rows are made from."""

    history: History
    spec: FeatureSpec
    clicks: list[Clicks]  # train, then the fold's other split


def prepare(settings: FeaturesConfig, reviews: pa.Table, items: pa.Table, review_vectors: Floats32 | None = None,
            item_vectors: Floats32 | None = None, sequence_vectors: Floats32 | None = None, *, t1: int, t2: int,
            fold: Fold) -> Prepared:  # fmt: skip
    """Fit and lay out one fold in memory. `reviews` are in order of events, vectors aligned (`History.build`)."""
    until = t1 if fold == "validation" else t2
    vectors = (review_vectors, item_vectors, sequence_vectors)
    reductions = _reductions(settings, reviews, items, *vectors, until)
    history = History.build(reviews, items, *vectors, reductions=reductions, settings=settings)
    clicks = lay_out(history, reviews[C.REVIEW_ID], fold, t1, t2)
    if not len(clicks[0].events):
        raise ValueError(f"featurize: no event lies before the cut-off {until} ms of fold {fold!r}; expected some: "
                         "give the corpus more events, or raise split.validation_quantile")  # fmt: skip
    spec = FeatureSpec.fit(settings, history, clicks[0].pairs(history)[0], until)
    if settings.selection.method != "none":
        _choose(spec, history, clicks[0])
    return Prepared(history, spec, clicks)


def _choose(spec: FeatureSpec, history: History, train: Clicks) -> None:
    """Select columns on training clicks spread evenly over time, with their negatives."""
    settings = spec.settings
    n = max(1, min(len(train.events), settings.selection.rows // (1 + settings.negatives)))
    some = np.unique(np.linspace(0, len(train.events) - 1, n).astype(np.int64))
    clicks = Clicks(train.events[some], train.negatives[some], train.review_ids.take(pa.array(some)), train.split)
    table = example_table(history, spec, clicks)
    names: dict[Side, str] = {"user": C.USER_FEATURES, "item": C.ITEM_FEATURES, "pair": C.PAIR_FEATURES}
    spec.choose({side: vectors_of(table[name]) for side, name in names.items()}, table[C.CLICK].to_numpy())


def _reductions(settings: FeaturesConfig, reviews: pa.Table, items: pa.Table, review_vectors: Floats32 | None,
                item_vectors: Floats32 | None, sequence_vectors: Floats32 | None,
                until: int) -> dict[str, Reduction]:  # fmt: skip
    """Fitted on reviews and sequences before the cut-off, and on the texts and vectors of items known before it."""
    past = reviews[C.TIMESTAMP].to_numpy() < until
    reviewed = set(reviews[C.ITEM_ID].filter(pa.array(past)).to_pylist())
    dated = items[C.AVAILABLE_FROM].fill_null(np.iinfo(np.int64).max).to_numpy() < until
    known = dated | np.array([i in reviewed for i in items[C.ITEM_ID].to_pylist()], np.bool_)
    columns = vector_columns(items).items()
    fitted = {name: fit_reduction(settings, vectors[:0], vectors[known]) for name, vectors in columns}
    if review_vectors is not None and item_vectors is not None:
        fitted[TEXT] = fit_reduction(settings, review_vectors[past], item_vectors[known])
    if sequence_vectors is not None:
        fitted[SEQUENCE] = fit_reduction(settings, sequence_vectors[past], sequence_vectors[:0])
    return fitted


def lay_out(history: History, review_ids: pa.ChunkedArray, fold: Fold, t1: int, t2: int) -> list[Clicks]:
    """Training clicks, then those of the fold's other split."""
    data, settings = history.data, history.settings
    sampler = NegativeSampler.of(history, settings.seed)
    first, second = (int(n) for n in np.searchsorted(data.times, (t1, t2)))
    ranges = {
        "validation": (("train", 0, first), ("validation", first, second)),
        "test": (("train", 0, second), ("test", second, len(data.times))),
    }
    result = []
    for split, lower, upper in ranges[fold]:
        events = np.arange(lower, upper)
        who, when, order = data.user_rows[events], data.times[events], data.event_order[events]
        negatives = sampler.sample(who, when, order, settings.negatives)
        result.append(Clicks(events, negatives, pa.array(review_ids.to_pylist()[lower:upper], pa.string()), split))
    return result
