"""Protocols: which events are training, which are questions, and what may be seen when answering.

Every protocol says in words what it does (`Wording`), and the report prints it. Point-in-time and transductive
results never share a table: a `Fold` carries its information set.
"""

import numpy as np

from llmrec.config import SplitConfig
from llmrec.corpus import splits
from llmrec.evaluation.data.folds import Fold, Queries, Split, Wording
from llmrec.features.asof.interactions import END, Interactions, Ints

_KNOWN = "items known before the query's time t (dated or first seen before t){seen}; a target outside counts as missed"


def _candidates(data: Interactions) -> str:
    return _KNOWN.format(seen=", less those the user already had" if data.exclude_seen else ", those already had too")


def temporal(data: Interactions, t1: float, t2: float, end: float = END, name: str = "temporal") -> Split:
    """The primary protocol: each event at t ≥ T2 is a query at t."""
    wording = Wording(
        "Each event at t ≥ T2 is a query at its own time t, with one relevant item among all candidates, of which no "
        "sample is drawn.",
        "Histories and popularity hold the events of everybody strictly before t (an equal timestamp is unseen), "
        "validation events and earlier test events included.",
        "Settings chosen on [T1, T2) with parameters fitted on events before T1; then refitted on events before T2 "
        "and frozen.",
        _candidates(data),
    )
    return Split(name, wording, _point_in_time(data, t1, t1, t2), _point_in_time(data, t2, t2, end))


def frozen(data: Interactions, t1: float, t2: float) -> Split:
    """One list a user, made at T2, for everything that the user takes afterwards."""
    wording = Wording(
        "Each user with an event at t ≥ T2 gets one list at T2; all items taken afterwards are relevant.",
        "Histories and popularity hold the events of everybody strictly before T2, validation events included.",
        "Settings chosen on [T1, T2) with parameters fitted on events before T1; then refitted on events before T2.",
        _candidates(data).replace("the query's time t", "T2").replace("before t)", "before T2)"),
    )
    return Split("frozen", wording, _one_list(data, t1, t2), _one_list(data, t2, END))


def rolling_origins(data: Interactions, quantiles: tuple[float, ...]) -> list[Split]:
    """Several T2 with a refit at each: `quantiles` of the event times, the first two being T1 and T2 of the first."""
    if len(quantiles) < 2 or list(quantiles) != sorted(set(quantiles)):
        raise ValueError(f"rolling origins: found quantiles {quantiles}, expected at least two, increasing")
    cuts = [*np.quantile(data.time, quantiles).tolist(), END]
    return [
        temporal(data, cuts[i], cuts[i + 1], cuts[i + 2], f"rolling_origins/{i + 1}") for i in range(len(quantiles) - 1)
    ]


def _point_in_time(data: Interactions, fit_before: float, start: float, end: float) -> Fold:
    event = np.flatnonzero((data.time >= start) & (data.time < end) & data.asked)
    asked = Queries(data.user[event], data.time[event], np.arange(len(event) + 1), data.item[event], event)
    train = np.flatnonzero(data.time < fit_before)
    return Fold(data, "point_in_time", train, np.arange(len(data)), asked, True, int(np.ceil(fit_before)))


def _one_list(data: Interactions, start: float, end: float) -> Fold:
    event = np.flatnonzero((data.time >= start) & (data.time < end) & data.asked)
    cut = int(np.ceil(start))  # times are whole numbers: before the cut is before `start`
    queries = _by_user(data, event, cut)
    return Fold(data, "point_in_time", np.flatnonzero(data.time < start), np.arange(len(data)), queries, True, cut)


def _by_user(data: Interactions, event: Ints, time: int) -> Queries:
    """One query a user whose relevant items are the items of the events."""
    event = event[np.argsort(data.user[event], kind="stable")]
    users, start = np.unique(data.user[event], return_index=True)
    indptr = np.append(start, len(event)).astype(np.int64)
    return Queries(users, np.full(len(users), time, np.int64), indptr, data.item[event], event)


_TRANSDUCTIVE = (
    "Transductive: a history is all of the user's training rows whatever their time; companions of the same day and "
    "other people's future are visible. This is how published tables are made; compare only with those."
)


def _all_items(data: Interactions) -> str:
    return "all items of the corpus" + ", less those in the user's training rows" * data.exclude_seen


def leave_last_out(data: Interactions, min_events: int = 1) -> Split:
    """The published convention: a user's last event is the test, the one before it the validation.

    `min_events`: k-core on training rows only, as of `random_split`.
    """
    rows = np.flatnonzero(data.asked)
    masks = splits.leave_last_out(data.user[rows], data.time[rows], rows.astype(np.uint64))  # rows are in order
    wording = Wording(
        "Each user's last event, in the order (timestamp, hash of user and item), is a query with one relevant item; "
        "the whole catalogue is ranked.",
        _TRANSDUCTIVE,
        "Settings chosen on each user's last training event; then refitted on all training rows, that one included.",
        _all_items(data),
    )
    return _masked("leave_last_out", wording, data, _of_all(data, masks), min_events)


def random_split(data: Interactions, seed: int, test_share: float = 0.25, min_events: int = 1) -> Split:
    """Per user, a random quarter of the events is the test; a quarter of the rest the validation.

    `min_events`: k-core on training rows only: users and items with fewer training events lose their training rows.
    """
    kept = 1 - test_share
    masks = splits.random_per_user(
        data.user[data.asked], SplitConfig(validation_quantile=kept * kept, test_quantile=kept), seed
    )  # the quarter of the rest is the validation
    wording = Wording(
        f"Per user a random {test_share:.0%} of the events is held out (seed {seed}); one query a user, all held-out "
        "items relevant; the whole catalogue is ranked.",
        _TRANSDUCTIVE,
        f"Settings chosen on a random {test_share:.0%} of each user's training rows; then refitted on all of them.",
        _all_items(data),
    )
    return _masked("random", wording, data, _of_all(data, masks), min_events)


def _of_all(data: Interactions, masks: splits.Masks) -> splits.Masks:
    """Masks of the outcomes as masks of all events: the others train, but for those of a pair that is held out."""
    if data.outcomes is None or data.outcomes.all():
        return masks
    sides = {name: np.zeros(len(data), np.bool_) for name in ("train", "validation", "test")}
    for name, side in sides.items():
        side[data.asked] = getattr(masks, name)
    pairs = data.user * data.n_items + data.item
    held_out = np.isin(pairs, pairs[sides["validation"] | sides["test"]])
    return splits.Masks(sides["train"] | (~data.asked & ~held_out), sides["validation"], sides["test"])


def _masked(name: str, wording: Wording, data: Interactions, masks: splits.Masks, min_events: int = 1) -> Split:
    test, inner = np.flatnonzero(masks.test), np.flatnonzero(masks.validation)
    rest = k_core(data, np.flatnonzero(masks.train | masks.validation), min_events)
    train = k_core(data, np.flatnonzero(masks.train), min_events)
    if min_events > 1 and not len(train):
        raise ValueError(f"evaluation.k_core {min_events}: found no training row that is left of {name}; lower it")
    return Split(name, wording, _transductive(data, train, inner), _transductive(data, rest, test))


def _transductive(data: Interactions, train: Ints, test: Ints) -> Fold:
    return Fold(data, "transductive", train, train, _by_user(data, test, END), False)


def k_core(data: Interactions, rows: Ints, k: int) -> Ints:
    """The largest part of the training `rows` in which every user and item has at least k events.

    Only ever applied to training rows: a core of the whole corpus would be cut with the future in view.
    """
    while len(rows):
        users = np.bincount(data.user[rows], minlength=data.n_users)
        items = np.bincount(data.item[rows], minlength=data.n_items)
        keep = (users[data.user[rows]] >= k) & (items[data.item[rows]] >= k)
        if keep.all():
            break
        rows = rows[keep]
    return rows
