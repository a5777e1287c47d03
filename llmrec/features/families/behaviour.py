"""Feature families that need no words: activity, popularity, stars, age, context, attributes."""

from collections.abc import Sequence

import numpy as np

from llmrec.features.arrays import Floats, Ints
from llmrec.features.asof.state import Counted, ItemState, UserState
from llmrec.schema import DAY_MS

#: Weight of the as-of mean of everybody in an entity's mean stars, in reviews.
PRIOR_REVIEWS = 5.0


def days_between(earlier: Ints, later: Ints) -> Floats:
    """log(1 + days), zero where nothing lies between."""
    days: Floats = np.maximum(later - earlier, 0) / DAY_MS
    return np.log1p(days)


def counts(state: UserState | ItemState) -> Floats:
    """(Q, 1 + 2 W) log(1 + n) of all events, of those in each window, and decayed."""
    both: Floats = np.concatenate([state.count[:, None], state.window, state.decayed], axis=1)
    return np.log1p(both)


def count_names(days: Sequence[float]) -> list[str]:
    return ["events", *(f"events_{d:g}d" for d in days), *(f"events_decayed_{d:g}d" for d in days)]


def activity(state: UserState) -> Floats:
    """Counts, recency, age and pace of a user."""
    recency, age = days_between(state.last, state.times), days_between(state.first, state.times)
    pace = np.log1p(state.count / (1 + np.maximum(state.times - state.first, 0) / DAY_MS) * 30)
    return np.column_stack([counts(state), recency, age, pace, state.count == 0])


def activity_names(days: Sequence[float]) -> list[str]:
    return [*count_names(days), "days_since_last", "days_since_first", "events_per_month", "is_new"]


def popularity(state: ItemState) -> Floats:
    """Counts of an item, and its share of everybody's events."""
    share = np.log1p(1e4 * state.count / np.maximum(state.global_stats[:, 3], 1))
    return np.column_stack([counts(state), share])


def popularity_names(days: Sequence[float]) -> list[str]:
    return [*count_names(days), "share_of_events"]


#: What a column of `rates` is called, before its window.
RATE = "log_rate"
#: Of a rate's prior: half an event in three days.
_RATE_EVENTS, _RATE_DAYS = 0.5, 3.0


def log_rate(decayed: Floats, age_days: Floats, window: float) -> Floats:
    """log((decayed events + ½) / (d (1 − e^(−age/d)) + 3)): events over the days in which they could have come.

    `decayed`: an event of age a counts e^(−a/d), d = `window` days; so does a day at risk (Breslow & Day 1987, ch. 2).
    """
    at_risk = window * -np.expm1(-age_days / window)
    return np.asarray(np.log((decayed + _RATE_EVENTS) / (at_risk + _RATE_DAYS)))


def rates(state: Counted, days: Sequence[float]) -> Floats:
    """(I, W) `log_rate` of each window."""
    age = np.maximum(state.times - state.known_since, 0) / DAY_MS
    columns = [log_rate(state.decayed[:, w], age, window) for w, window in enumerate(days)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(age), 0))


def rate_names(days: Sequence[float]) -> list[str]:
    return [f"{RATE}_{d:g}d" for d in days]


def stars(state: UserState | ItemState) -> Floats:
    """Mean stars as a difference to everybody's mean at that time, and the spread; both shrunk to everybody's."""
    number, total, squares = state.stars.T
    global_number, global_total, global_squares, _ = state.global_stats.T
    global_mean = global_total / np.maximum(global_number, 1)
    global_variance = np.maximum(global_squares / np.maximum(global_number, 1) - global_mean**2, 0)
    deviation = (total - number * global_mean) / (number + PRIOR_REVIEWS)
    around = np.maximum(squares - 2 * global_mean * total + number * global_mean**2, 0)
    spread = np.sqrt((around + PRIOR_REVIEWS * global_variance) / (number + PRIOR_REVIEWS))
    return np.column_stack([deviation, spread, np.log1p(number)])


STARS_NAMES = ["stars_above_world", "stars_spread", "starred_reviews"]


def item_age(state: ItemState) -> Floats:
    """Time since the item became known, since its first and its last review."""
    known, first, last = (days_between(e, state.times) for e in (state.known_since, state.first, state.last))
    return np.column_stack([known, first, last, state.count == 0])


ITEM_AGE_NAMES = ["days_known", "days_since_first", "days_since_last", "never_reviewed"]


def context(state: UserState) -> Floats:
    """Time of day, of week and of year of the query as points on circles (UTC)."""
    periods = np.array([1.0, 7.0, 365.25]) * DAY_MS
    angle = 2 * np.pi * (state.times[:, None] % periods) / periods
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1)


CONTEXT_NAMES = [f"{c}_{p}" for c in ("sin", "cos") for p in ("day", "week", "year")]


def price(state: ItemState) -> Floats:
    """log(1 + price) and whether there is one."""
    known = ~np.isnan(state.price)
    value = np.log1p(np.maximum(np.where(known, state.price, 0), 0))
    return np.column_stack([value, known])


PRICE_NAMES = ["log_price", "has_price"]


def has_code(codes: Ints, vocabulary: Ints) -> Floats:
    """(Q, n) 1 where one of a row's `codes` (Q, A) is that of the vocabulary; a code outside it shows nowhere."""
    found = np.zeros((len(codes), len(vocabulary)))
    for slot in range(codes.shape[1]):
        found += codes[:, slot, None] == vocabulary
    return np.minimum(found, 1)


def shared_attributes(user: UserState, item: ItemState) -> Floats:
    """(N, 3) share of past items of the candidate's brand, mean and largest overlap of categories; user N rows or 1."""
    past, mask = user.history_attributes, user.history_mask
    number = np.maximum(mask.sum(axis=1), 1)
    brand = item.attributes[:, None, 0]
    same_brand = ((past[:, :, 0] == brand) & (brand > 0)).sum(axis=1) / number
    overlap = np.zeros(np.broadcast_shapes(past.shape[:2], (len(item), past.shape[1])))
    theirs, own = past[:, :, 1:], item.attributes[:, 1:]
    theirs, own = theirs[:, :, theirs.any(axis=(0, 1))], own[:, own.any(axis=0)]  # most slots are empty
    for category in own.T[:, :, None, None]:
        overlap += ((theirs == category) & (category > 0)).any(axis=2)
    overlap /= np.maximum((own > 0).sum(axis=1), 1)[:, None]
    overlap *= mask
    return np.column_stack([same_brand, overlap.sum(axis=1) / number, overlap.max(axis=1)])


SHARED_NAMES = ["same_brand", "category_overlap_mean", "category_overlap_max"]
