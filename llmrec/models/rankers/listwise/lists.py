"""Lists to learn from: each training click among candidates of its time, half of them brought and half drawn."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from llmrec.features.dataset.rows import Examples
from llmrec.models.base import Bools, Ints, ModelContext, Requests
from llmrec.models.click_rows import click_rows, item_facts
from llmrec.models.retrieval import candidates, retrieve
from llmrec.models.retrievers.popular.time_at_risk import TimeAtRisk, TimeAtRiskConfig

#: Of the popularity by time at risk that brings candidates: nothing of it is fitted, so no list knows its answer.
_DECAYS = (30.0, 365.0)
#: Queries whose candidates are in memory together, (Q, n_items), and lists whose states are asked for together.
_BLOCK, _CHUNK = 512, 64


@dataclass(frozen=True)
class ListQueries:
    """Q clicks: who, when, and which item, by rows of the history; all (Q,)."""

    users: Ints
    times: Ints
    items: Ints

    @classmethod
    def of(cls, rows: Examples, context: ModelContext, n: int) -> "ListQueries":
        """The last n clicks of `rows`: taste and catalogue drift, and the next days resemble the last ones."""
        data = context.history.data
        events = np.unique(rows.query[rows.click > 0])[-n:]
        return cls(data.user_rows[events], data.times[events], data.item_rows[events])

    def take(self, part: slice) -> "ListQueries":
        return ListQueries(self.users[part], self.times[part], self.items[part])


@dataclass(frozen=True)
class Lists:
    """Q lists of candidates: `rows` (Q, N), −1 pads; `offsets` (Q, N): log of how many candidates a row stands for."""

    rows: Ints
    offsets: npt.NDArray[np.float64]


def sampled_lists(context: ModelContext, asked: ListQueries, n: int, seed: int) -> Lists:
    """Half of each list as retrieval would bring it, half drawn from the rest of the catalogue with the click among it.

    So every click teaches, where only one in three or four is brought. A row that was drawn stands for as many of the
    rest as were not: the log of that in its score makes the fit that of all candidates (McFadden 1978; stratified
    importance sampling, Ben-Akiva & Lerman 1985, section 8.3).
    """
    draw, size = np.random.default_rng(seed), len(asked.items)
    found = Lists(np.full((size, n), -1, np.int64), np.zeros((size, n)))
    for start in range(0, size, _BLOCK):
        part = slice(start, start + _BLOCK)
        _fill(Lists(found.rows[part], found.offsets[part]), context, asked.take(part), draw)
    return found


def _fill(lists: Lists, context: ModelContext, asked: ListQueries, draw: np.random.Generator) -> None:
    """Write the lists of some queries."""
    requests, n = Requests(asked.users, asked.times, context.as_of), lists.rows.shape[1]
    rest = candidates(requests)
    brought = _brought(context, requests, rest, n - n // 2)
    for q, item in enumerate(asked.items):
        mine = brought[q][brought[q] >= 0]
        rest[q, mine] = False
        drawn, offset = _drawn(np.flatnonzero(rest[q]), int(item), n - len(mine), draw)
        lists.rows[q, : len(mine)] = mine
        lists.rows[q, len(mine) : len(mine) + len(drawn)] = drawn
        lists.offsets[q, len(mine) :] = offset


def _drawn(rest: Ints, item: int, n: int, draw: np.random.Generator) -> tuple[Ints, float]:
    """At most n of `rest`, `item` among them if it is there, and the log of how many each stands for."""
    asked, others = rest[rest == item], rest[rest != item]
    some = draw.choice(others, min(n - len(asked), len(others)), replace=False)
    return np.concatenate([asked, some]), float(np.log(max(len(rest), 1) / max(len(asked) + len(some), 1)))


def _brought(context: ModelContext, requests: Requests, allowed: Bools, n: int) -> Ints:
    """(Q, n) rows, −1 pads: the best of each decay, and by what users of the same items had."""
    found = [retrieve(TimeAtRisk(TimeAtRiskConfig(decay_days=d)), requests, n)[0] for d in _DECAYS]
    found += _alike(context, requests, allowed, n)
    merged = np.full((len(requests), n), -1, np.int64)
    for q in range(len(requests)):
        in_turn = dict.fromkeys(chain.from_iterable(zip(*(rows[q].tolist() for rows in found), strict=True)))
        in_turn.pop(-1, None)
        mine = list(in_turn)[:n]
        merged[q, : len(mine)] = mine
    return merged


def _alike(context: ModelContext, requests: Requests, allowed: Bools, n: int) -> list[Ints]:
    """(Q, n) rows by the first collaborative score, which is out of fold by time; none where there is no score."""
    scores = context.spec.learned.collaborative
    if not scores.methods:
        return []
    everything, rows = np.arange(context.interactions.n_items), np.full((len(requests), n), -1, np.int64)
    history = context.history.users_at(requests.users, requests.times).history
    for q, time in enumerate(requests.times):
        said = np.where(allowed[q], scores.scores_at(history[[q]], everything, int(time))[:, 0], 0)
        best = np.argsort(-said, kind="stable")[:n]
        rows[q, : len(best)] = np.where(said[best] > 0, best, -1)
    return [rows]


@dataclass(frozen=True)
class ListRows:
    """Lists that hold their click: the rows of each, the click's place among them, and the rows' offsets."""

    rows: list[Examples]
    targets: list[int]
    offsets: list[npt.NDArray[np.float64]]


def list_rows(context: ModelContext, asked: ListQueries, lists: Lists) -> ListRows:
    """What a ranker reads of each list; a click that was no candidate at its time teaches nothing."""
    found = ListRows([], [], [])
    learned = np.flatnonzero((lists.rows == asked.items[:, None]).any(axis=1))
    for start in range(0, len(learned), _CHUNK):
        some = learned[start : start + _CHUNK]
        real = [lists.rows[q] >= 0 for q in some]
        found.rows.extend(_rows_of(context, asked, some, [lists.rows[q][r] for q, r in zip(some, real, strict=True)]))
        found.offsets.extend(lists.offsets[q][r] for q, r in zip(some, real, strict=True))
        found.targets.extend(
            int(np.flatnonzero(lists.rows[q][r] == asked.items[q])[0]) for q, r in zip(some, real, strict=True)
        )
    return found


def _rows_of(context: ModelContext, asked: ListQueries, some: Ints, lists: list[Ints]) -> Iterator[Examples]:
    """Of the queries `some`; states and features are made at once, since most of their cost is the asking."""
    who, times, sizes = asked.users[some], asked.times[some], [len(rows) for rows in lists]
    users = context.history.users_at(who, times, context.history.contexts_at(who, times))
    facts = item_facts(context, np.concatenate(lists), np.repeat(times, sizes))
    for n, (end, size) in enumerate(zip(np.cumsum(sizes), sizes, strict=True)):
        items = facts.take(np.arange(end - size, end))
        yield click_rows(context, users.take(np.array([n])), items.state, items.features)
