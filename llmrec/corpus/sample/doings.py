"""What the shoppers of the built-in corpus do besides writing reviews: events of many kinds, and who they are.

A review is written up to a week after the purchase, which ends a visit: impressions, views of products that the
shopper might like, seconds of staying (the longer, the higher the affinity), a basket, and sometimes a search for a
category.
What is known of it by construction:

- products of the first categories (`bought_again`) are bought again: `BOUGHT_AGAIN` of the purchases come twice;
- views follow the taste of the shopper, impressions only the exposure of the product;
- `age_band` follows from the category that a shopper likes, but for `MISTAKEN` of the shoppers; `gender` says nothing;
- who follows whom: the most alike in what they look for, among some who are drawn at random.

All of it is drawn with a generator of its own: the reviews are the same with and without it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec.config.data.corpus import SampleConfig
from llmrec.corpus.sample.generate import (
    PERIOD_MS,
    START_MS,
    Purchases,
    SampleTruth,
    exposure,
    generate,
    pick,
    step_of,
)  # fmt: skip
from llmrec.corpus.sample.text import Ints
from llmrec.corpus.sample.words import LANGUAGES, N_CATEGORIES
from llmrec.schema import DAY_MS, EVENTS, RELATIONS, C, event_id, event_order, users_schema

SAMPLE_ATTRIBUTES = ("age_band", "gender")
AGE_BANDS = ("18-29", "30-44", "45-59", "60+")
BROWSED = 2  # products viewed in a visit besides the one that is bought
SHOWN = 3  # impressions of a visit
SEARCHES = 0.2  # share of the visits that begin with one
BOUGHT_AGAIN = 0.4  # of the purchases in the categories that are bought again
MISTAKEN = 0.2
FOLLOWED, MET = 3, 20  # whom a shopper follows, the most alike of those met
_MINUTE_MS = 60_000
_Columns = dict[str, npt.NDArray[Any]]


def sample_table(config: SampleConfig, kind: str) -> pa.Table:
    """`reviews`, `items`, `events`, `users` or `relations` of the corpus of `config`."""
    corpus = generate(config)
    truth, own = corpus.truth, {"reviews": corpus.reviews, "items": corpus.items}
    if kind in own:
        return own[kind]
    rng = np.random.default_rng([config.seed, ("events", "users", "relations").index(kind)])
    if kind == "users":
        return _users(truth, rng)
    return _relations(truth, rng) if kind == "relations" else _events(truth, corpus.bought, rng)


def bought_again(truth: SampleTruth) -> npt.NDArray[np.bool_]:
    """(I,) whether a product is of the kind that is bought again."""
    return np.asarray(truth.category < N_CATEGORIES // 4 + 1)


def _events(truth: SampleTruth, bought: Purchases, rng: np.random.Generator) -> pa.Table:
    earliest = truth.available[bought.item]
    before = np.minimum(7 * DAY_MS, np.maximum(bought.timestamp - earliest, 0)) * rng.random(len(bought.user))
    at = bought.timestamp - before.astype(np.int64) // 1000 * 1000
    again = np.flatnonzero(bought_again(truth)[bought.item] & (rng.random(len(at)) < BOUGHT_AGAIN))
    later = at[again] + rng.integers(DAY_MS, 60 * DAY_MS, len(again)) // 1000 * 1000
    user, item, time = (
        np.concatenate([a, b])
        for a, b in ((bought.user, bought.user[again]), (bought.item, bought.item[again]), (at, later))
    )
    order = np.argsort(time, kind="stable")
    visits = Purchases(user[order], item[order], time[order])
    return _table(truth, _visits(truth, visits, rng))


def _visits(truth: SampleTruth, visits: Purchases, rng: np.random.Generator) -> _Columns:
    """All events of the visits, each of which ends with a purchase."""
    n = len(visits.user)
    parts = list[_Columns]()

    def add(kind: str, rows: Ints, item: Ints, before: Ints, value: Any = np.nan) -> None:
        parts.append({C.KIND: np.full(len(rows), kind), "visit": rows, C.ITEM_ID: item,
                      C.TIMESTAMP: visits.timestamp[rows] - before,
                      C.VALUE: np.broadcast_to(np.asarray(value, np.float64), len(rows))})  # fmt: skip

    every = np.arange(n)
    add("purchase", every, visits.item, np.zeros(n, np.int64), 1.0)
    add("add_to_basket", every, visits.item, rng.integers(20, 120, n) * 1000)
    views = [(every, visits.item)] + [(every, pick(truth, visits.user, visits.timestamp, rng)) for _ in range(BROWSED)]
    for rows, item in views:
        start = rng.integers(5 * 60, 20 * 60, n) * 1000
        add("view", rows, item, start)
        seconds = np.round(np.exp(rng.normal(2 + truth.match(visits.user, item), 0.5)), 1)
        seconds = np.minimum(seconds, 240)  # known when the stay is over: that is the event's time
        add("dwell", rows, item, start - (seconds * 1000).astype(np.int64), seconds)
    for _ in range(SHOWN):
        add("impression", every, _exposed(truth, visits.timestamp, rng), np.full(n, 21 * _MINUTE_MS))
    some = np.flatnonzero(rng.random(n) < SEARCHES)
    add("search", some, np.full(len(some), -1), np.full(len(some), 22 * _MINUTE_MS))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return found | {C.USER_ID: visits.user[found["visit"]], "wanted": truth.category[visits.item[found["visit"]]]}


def _exposed(truth: SampleTruth, times: Ints, rng: np.random.Generator) -> Ints:
    """(n,) products drawn by exposure alone; `times` ascend."""
    found, step = np.empty(len(times), np.int64), step_of(times)
    for now in np.unique(step):
        low, high = np.searchsorted(step, [now, now + 1])
        shown = np.cumsum(exposure(truth, int(now)))
        found[low:high] = np.searchsorted(shown, rng.random(high - low) * shown[-1], side="right")
    return found


def _table(truth: SampleTruth, found: _Columns) -> pa.Table:
    users = [truth.user_ids[u] for u in found[C.USER_ID]]
    items = [truth.item_ids[i] if i >= 0 else None for i in found[C.ITEM_ID]]
    nouns = LANGUAGES["en"].nouns
    searched = [nouns[c] if i < 0 else None for c, i in zip(found["wanted"], found[C.ITEM_ID], strict=True)]
    columns: Mapping[str, Any] = {
        C.EVENT_ID: [event_id(n, *row) for n, row in enumerate(zip(users, found[C.TIMESTAMP].tolist(), strict=True))],
        C.USER_ID: users,
        C.ITEM_ID: items,
        C.TIMESTAMP: found[C.TIMESTAMP],
        C.EVENT_ORDER: event_order(users, [i or "" for i in items]),
        C.KIND: found[C.KIND].tolist(),
        C.VALUE: pa.array(found[C.VALUE].astype(np.float32), from_pandas=True),
        C.SESSION: [f"S{v}" for v in found["visit"]],
        C.TEXT: searched,
    }
    table = pa.table([pa.array(columns[f.name], f.type) if not isinstance(columns[f.name], pa.Array) else
                      columns[f.name] for f in EVENTS], EVENTS)  # fmt: skip
    return table.sort_by([(c, "ascending") for c in (C.TIMESTAMP, C.EVENT_ORDER, C.EVENT_ID)])


def _users(truth: SampleTruth, rng: np.random.Generator) -> pa.Table:
    n = len(truth.user_ids)
    band = truth.liked_categories.argmax(axis=1) % len(AGE_BANDS)
    band = np.where(rng.random(n) < MISTAKEN, rng.integers(0, len(AGE_BANDS), n), band)
    labels = [AGE_BANDS[b] for b in band], rng.choice(["f", "m"], n).tolist()
    return pa.table([truth.user_ids, *labels], schema=users_schema(SAMPLE_ATTRIBUTES))


def _relations(truth: SampleTruth, rng: np.random.Generator) -> pa.Table:
    n = len(truth.user_ids)
    met = rng.integers(0, n, (n, MET))
    alike = (truth.wants[:, None] & truth.wants[met]).sum(axis=2) - 99 * (met == np.arange(n)[:, None])
    chosen = np.take_along_axis(met, np.argsort(-alike, axis=1, kind="stable")[:, :FOLLOWED], axis=1)
    since = START_MS + (rng.random((n, FOLLOWED)) * PERIOD_MS).astype(np.int64) // 1000 * 1000
    pairs = {(u, int(f)): int(s) for u in range(n) for f, s in zip(chosen[u], since[u], strict=True) if u != f}
    ids = ([truth.user_ids[pair[side]] for pair in pairs] for side in (0, 1))
    return pa.table([*ids, list(pairs.values())], schema=RELATIONS)
