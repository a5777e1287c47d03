"""The answer-swap check: who asks, when, and about what stay; which item the review is about changes, or it is gone.

Whatever a model reads of (user, item, time) must then be the same to the bit: a review at t enters nothing at t. The
corpus is altered and its history made again as the stage `featurize` makes it, by the same tasks; what was learned
stays. That finds what words and stars cannot betray, such as a column that says "this user has had this item by now".
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from llmrec.features.arrays import Ints
from llmrec.features.asof.history import History
from llmrec.features.asof.interactions import AsOf, Interactions
from llmrec.features.build import driver
from llmrec.features.build.plan import BuildInputs, plan_build
from llmrec.features.dataset.pairs import Pairs
from llmrec.features.dataset.spec import FeatureSpec
from llmrec.schema import DAY_MS, event_order
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

#: Reviews altered at one moment, and candidates that each is asked with: its own item, the other one, and a third.
REVIEWS, _CANDIDATES = 64, 3
_DAY_SHARES = (0.2, 1.0)  # moments lie in this part of the events: earlier ones have nothing before them


@dataclass(frozen=True)
class SwapLeak:
    """One value that the answer moved: row, column and value."""

    user_id: str
    item_id: str  # the candidate
    time: int  # ms
    column: str
    value: float
    swapped: float
    change: str  # what was done to the review

    def __str__(self) -> str:
        row = f"user {self.user_id!r}, item {self.item_id!r}, time {self.time}"
        return f"{row}: column {self.column!r} is {self.value:g}, and {self.swapped:g} with {self.change}"


@dataclass(frozen=True)
class Asked:
    """Reviews (n,) of one moment by their numbers, and the item (n,) that each is about instead."""

    events: Ints
    others: Ints
    pairs: Pairs  # (n · candidates,)


def answer_swaps(inputs: BuildInputs, spec: FeatureSpec, history: History, moments: int = 3) -> Iterator[SwapLeak]:
    """What the answer moves at some moments, spread over the events; nothing, where all is honest.

    `inputs`: of the fold that `spec` and `history` are of, its folders being scratch. Each moment makes the history
    twice again. Raises ValueError where no review can be altered: nobody with two reviews took an item known before.
    """
    rng, found = np.random.default_rng(7), 0
    for number, moment in enumerate(_moments(history, moments)):
        asked = _asked(history, int(moment), rng)
        if not len(asked.events):
            continue
        found += 1
        before = values(history, spec, asked.pairs)
        for change, others in (("another item reviewed", asked.others), ("no review", None)):
            made = _altered(inputs, history, asked.events, others, f"{number}-{others is None}")
            yield from _differing(history, asked.pairs, before, values(made, spec, asked.pairs), change)
    if not found:
        raise ValueError(f"answer swap: found no review to alter among {len(history.data.times)}, expected users and "
                         "items with at least two; the corpus is too small to be checked")  # fmt: skip


def _moments(history: History, n: int) -> Ints:
    """Times of events, spread over them; of many events at once rather than of few."""
    times, count = np.unique(history.data.times, return_counts=True)
    share = np.cumsum(count) / count.sum()
    inside = np.flatnonzero((share > _DAY_SHARES[0]) & (share <= _DAY_SHARES[1]))
    if not len(inside):
        return np.empty(0, np.int64)
    return np.array([times[part[count[part].argmax()]] for part in np.array_split(inside, min(n, len(inside)))])


def _asked(history: History, moment: int, rng: np.random.Generator) -> Asked:
    """Reviews at the moment whose user and item have others, one of each, the item known before."""
    data = history.data
    at = np.flatnonzero(data.times == moment)
    known = np.flatnonzero(history.known_since < moment)
    known = known[known > 0]
    n_user, n_item = np.bincount(data.user_rows), np.bincount(data.item_rows)
    at = at[(n_user[data.user_rows[at]] > 1) & (n_item[data.item_rows[at]] > 1) & np.isin(data.item_rows[at], known)]
    for rows in (data.user_rows, data.item_rows):
        at = at[np.sort(np.unique(rows[at], return_index=True)[1])]
    kept, candidates = list[int](), list[list[int]]()
    for event in at[:REVIEWS].tolist():
        had = data.item_rows[data.user_rows == data.user_rows[event]]
        free = np.setdiff1d(known, had)
        if len(free) >= _CANDIDATES - 1:
            kept.append(event)
            candidates.append([data.item_rows[event], *rng.choice(free, _CANDIDATES - 1, replace=False)])
    events, items = np.array(kept, np.int64), np.array(candidates, np.int64).reshape(-1, _CANDIDATES)
    asking = np.repeat(events, _CANDIDATES)
    pairs = Pairs(data.user_rows[asking], items.ravel(), data.times[asking], data.contexts[asking])
    return Asked(events, items[:, 1], pairs)


def values(history: History, spec: FeatureSpec, pairs: Pairs) -> dict[str, np.ndarray]:
    """Column -> (N,): every feature, the user's last items, and what retrievers read of a request."""
    users = history.users_at(pairs.user_rows, pairs.times, pairs.contexts)
    items = history.items_at(pairs.item_rows, pairs.times)
    found = dict[str, np.ndarray]()
    sides = (
        (spec.user_columns, spec.user_features(users)), (spec.item_columns, spec.item_features(items)),
        (spec.pair_columns, spec.pair_features(users, items)),
    )  # fmt: skip
    for columns, matrix in sides:
        found |= {c.name: matrix[:, n] for n, c in enumerate(columns)}
    for name, matrix in (("history", spec.history_idx(users)), ("history age", spec.history_ages(users))):
        found |= {f"{name} {n}": matrix[:, n] for n in range(matrix.shape[1])}
    as_of, rows = AsOf(Interactions.of_history(history)), np.arange(len(pairs))
    had = as_of.histories(pairs.user_rows, pairs.times).toarray()
    popular = as_of.popularity(pairs.times)
    return found | {"request history": had[rows, pairs.item_rows], "request popularity": popular[rows, pairs.item_rows]}


def _altered(inputs: BuildInputs, history: History, events: Ints, others: Ints | None, name: str) -> History:
    """The history of the corpus in which the reviews are about `others`, or are not there."""
    folder = f"{inputs.scratch}/{name}"
    corpus = _corpus(inputs.corpus, history, events, others, Storage(folder))
    made = replace(inputs, corpus=corpus, history=f"{folder}/history", scratch=f"{folder}/scratch")
    runner = driver.TaskRunner(local=inputs.n_reviews <= driver.SMALL)
    plan = runner.run("plans", plan_build, [(made,)])[0]
    driver.write_history(runner, made, plan, history.reductions)
    return History.load(made.history)


def _corpus(corpus: Artifact, history: History, events: Ints, others: Ints | None, storage: Storage) -> Artifact:
    """A copy without words, which features read from the embeddings, whose rows it must keep; a review that is not
    there is one after all others."""
    names = [n for n in corpus.dataset("reviews").schema.names if n not in (C.TEXT, C.TITLE)]
    reviews, data = corpus.table("reviews", names), history.data
    key = {(data.user_ids[data.user_rows[e]], data.item_ids[data.item_rows[e]], int(data.times[e])): n
           for n, e in enumerate(events.tolist())}  # fmt: skip
    users, items, times = (reviews[c].to_pylist() for c in (C.USER_ID, C.ITEM_ID, C.TIMESTAMP))
    place = [key.get(triple, -1) for triple in zip(users, items, times, strict=True)]
    if others is None:
        times = [int(data.times[-1]) + DAY_MS if p >= 0 else t for p, t in zip(place, times, strict=True)]
    else:
        items = [data.item_ids[others[p]] if p >= 0 else i for p, i in zip(place, items, strict=True)]
    columns = {C.ITEM_ID: items, C.TIMESTAMP: times, C.EVENT_ORDER: event_order(users, items)}
    reviews = _with_columns(reviews, columns)
    with storage.build("corpus", "altered", module=__name__, config={}, parents={}) as writer:
        writer.write_table("reviews/0", reviews)
        writer.write_table("items", corpus.table("items"))
        for name in ("users", "relations"):
            if corpus.holds(name):
                writer.write_table(name, corpus.table(name))
        if corpus.holds("events"):
            writer.write_table("events", _events(corpus, history, key, others))
    found = storage.find("corpus", "altered")
    assert found is not None
    return found


def _events(corpus: Artifact, history: History, key: dict[tuple[str, str, int], int], others: Ints | None) -> pa.Table:
    """The events, of which those that are the altered outcomes are altered alike."""
    events, data = corpus.table("events"), history.data
    kind = corpus.manifest.info.get("outcome", {}).get("kind")
    users, items, times, kinds = (events[c].to_pylist() for c in (C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.KIND))
    triples = zip(users, items, times, strict=True)
    place = [key.get(triple, -1) if k == kind else -1 for triple, k in zip(triples, kinds, strict=True)]
    if others is None:
        times = [int(data.times[-1]) + DAY_MS if p >= 0 else t for p, t in zip(place, times, strict=True)]
    else:
        items = [data.item_ids[others[p]] if p >= 0 else i for p, i in zip(place, items, strict=True)]
    order = event_order(users, [item or "" for item in items])
    return _with_columns(events, {C.ITEM_ID: items, C.TIMESTAMP: times, C.EVENT_ORDER: order})


def _with_columns(table: pa.Table, columns: dict[str, Any]) -> pa.Table:
    for name, column in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pa.array(column, table.schema.field(at).type))
    return table


def _differing(
    history: History, pairs: Pairs, before: dict[str, np.ndarray], after: dict[str, np.ndarray], change: str
) -> Iterator[SwapLeak]:
    """Bit by bit: NaN is equal to itself."""
    data = history.data
    for column, old in before.items():
        for n in np.flatnonzero(~((old == after[column]) | ((old != old) & (after[column] != after[column])))):
            yield SwapLeak(
                data.user_ids[pairs.user_rows[n]], data.item_ids[pairs.item_rows[n]], int(pairs.times[n]), column,
                float(old[n]), float(after[column][n]), change,
            )  # fmt: skip
