"""Fitting and laying out one fold: from tables and vectors to a history, a spec and clicks."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.config import FeaturesConfig
from llmrec.features.asof import Floats32, Ints
from llmrec.features.examples import Clicks, example_table
from llmrec.features.families import Side
from llmrec.features.history import History
from llmrec.features.history_data import SEQUENCE, TEXT
from llmrec.features.negatives import NegativeSampler
from llmrec.features.profiles import vectors_of
from llmrec.features.projection import Kind
from llmrec.features.reduction import Reduction, fit_reduction, summarise
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
    """Fit and lay out one fold in memory. `reviews` are in order of events, vectors aligned (`History.build`).

    The stage does the same in pieces, by the same functions (`pieces.py`).
    """
    vectors = (review_vectors, item_vectors, sequence_vectors)
    reductions = _reductions(settings, reviews, items, *vectors, learned_until(fold, t1, t2))
    history = History.build(reviews, items, *vectors, reductions=reductions, settings=settings)
    return fit(history, reviews[C.REVIEW_ID], fold, t1, t2)


def learned_until(fold: Fold, t1: int, t2: int) -> int:
    """The cut-off (ms) before which everything is learned."""
    return t1 if fold == "validation" else t2


def fit(history: History, review_ids: pa.ChunkedArray, fold: Fold, t1: int, t2: int) -> Prepared:
    """Draw negatives and fit the spec. Raises ValueError where no event lies before the fold's cut-off."""
    settings, until = history.settings, learned_until(fold, t1, t2)
    clicks = lay_out(history, review_ids, fold, t1, t2)
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


@dataclass(frozen=True)
class Places:
    """Where rows stand among the rows that reductions are fitted on; −1: not among them."""

    reviews: Ints  # (n_reviews,) those before the cut-off
    items: Ints  # (n_items,) those known before it

    @classmethod
    def of(cls, reviews: pa.Table, items: pa.Table, until: int) -> "Places":
        """An item is known from its date, and from its first review."""
        past = reviews[C.TIMESTAMP].to_numpy() < until
        reviewed = pc.unique(reviews[C.ITEM_ID].filter(pa.array(past)))
        dated = items[C.AVAILABLE_FROM].fill_null(np.iinfo(np.int64).max).to_numpy() < until
        known = dated | pc.is_in(items[C.ITEM_ID], value_set=reviewed).to_numpy()
        return cls(*(np.where(kept, np.cumsum(kept) - 1, -1) for kept in (past, known)))

    def among(self, name: str, kind: Kind) -> tuple[Ints, int]:
        """The places of a kind's rows, and of how many, for the reduction `name`; of texts, items follow reviews."""
        n_reviews, n_items = (int((places >= 0).sum()) for places in (self.reviews, self.items))
        if name == TEXT:
            behind = np.where(self.items >= 0, self.items + n_reviews, -1)
            return self.reviews if kind == "review" else behind, n_reviews + n_items
        return (self.reviews, n_reviews) if kind == "review" else (self.items, n_items)


def _reductions(settings: FeaturesConfig, reviews: pa.Table, items: pa.Table, review_vectors: Floats32 | None,
                item_vectors: Floats32 | None, sequence_vectors: Floats32 | None,
                until: int) -> dict[str, Reduction]:  # fmt: skip
    """Fitted on reviews and sequences before the cut-off, and on the texts and vectors of items known before it."""
    places = Places.of(reviews, items, until)
    given: dict[str, dict[Kind, Floats32]] = {name: {"item": v} for name, v in vector_columns(items).items()}
    if review_vectors is not None and item_vectors is not None:
        given[TEXT] = {"review": review_vectors, "item": item_vectors}
    if sequence_vectors is not None:
        given[SEQUENCE] = {"review": sequence_vectors}
    return {
        name: fit_reduction(settings, {k: summarise(settings, v, *places.among(name, k)) for k, v in vectors.items()})
        for name, vectors in given.items()
    }


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
        named = pa.concat_arrays([pa.array([], pa.string()), *review_ids.slice(lower, upper - lower).chunks])
        result.append(Clicks(events, negatives, named, split))
    return result
