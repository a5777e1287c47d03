"""The negatives of a fold's clicks, and the fit of its spec on the training clicks."""

import numpy as np

from llmrec.features.arrays import Ints, vectors_of
from llmrec.features.asof.history import History
from llmrec.features.dataset.examples import Clicks, example_table
from llmrec.features.dataset.folds import Fold
from llmrec.features.dataset.negatives import NegativeSampler
from llmrec.features.dataset.spec import FIT_ROWS, FeatureSpec
from llmrec.features.families.learned import Side
from llmrec.schema import Column as C


def draw(history: History, sampler: NegativeSampler, events: Ints) -> Ints:
    """(Q, n) item rows of the negatives of events: shown and not taken, then drawn; 0 where there are fewer."""
    data, n = history.data, history.settings.negatives
    asked = data.user_rows[events], data.times[events], data.event_order[events]
    return sampler.sample(*asked, n, shown_in_vain(history, sampler, events, n))


def shown_in_vain(history: History, sampler: NegativeSampler, events: Ints, n: int) -> Ints:
    """(Q, n) distinct item rows that were shown to the user shortly before, the latest first, and neither taken by then
    nor unknown; 0 where there are fewer."""
    data = history.data
    users, times, own = data.user_rows[events], data.times[events], data.item_rows[events]
    items, exists = history.further.shown(users, times)
    found = np.zeros((len(events), n), np.int64)
    if not exists.any():
        return found
    wide = np.repeat(np.arange(len(events)), items.shape[1])
    good = exists & (items > 0) & (items != own[:, None]) & (history.known_since[items] < times[:, None])
    good &= ~sampler.had(users[wide], items.ravel(), times[wide]).reshape(items.shape)
    for q in np.flatnonzero(good.any(axis=1)):
        latest = list(dict.fromkeys(items[q][good[q]][::-1].tolist()))[:n]
        found[q, : len(latest)] = latest
    return found


def fit(history: History, train: Clicks, fold: Fold, until: int) -> FeatureSpec:
    """Fit the spec. Raises ValueError where no event lies before the fold's cut-off."""
    settings = history.settings
    if not len(train.events):
        raise ValueError(f"featurize: no event lies before the cut-off {until} ms of fold {fold!r}; expected some: "
                         "give the corpus more events, or raise split.validation_quantile")  # fmt: skip
    spec = FeatureSpec.fit(settings, history, train.spread_pairs(history, FIT_ROWS), until)
    if settings.selection.method != "none":
        _choose(spec, history, train)
    return spec


def _choose(spec: FeatureSpec, history: History, train: Clicks) -> None:
    """Select columns on training clicks spread evenly over time, with their negatives."""
    settings = spec.settings
    n = max(1, min(len(train.events), settings.selection.rows // (1 + settings.negatives)))
    some = np.unique(np.linspace(0, len(train.events) - 1, n).astype(np.int64))
    table = example_table(history, spec, train.take(some))
    names: dict[Side, str] = {"user": C.USER_FEATURES, "item": C.ITEM_FEATURES, "pair": C.PAIR_FEATURES}
    spec.choose({side: vectors_of(table[name]) for side, name in names.items()}, table[C.CLICK].to_numpy())
