"""What came of clicks: the labels beside `click`, from what users did with the item at the click's time and after it.

A label lies in the future of its row, so it is read from events from the row's time on, where features read those
strictly before it, and from none at or after `until`, where the row's split ends: a fold never learns from behind its
cut-off. A click counts as without an outcome once its whole window has passed; until then nobody knows.
"""

from dataclasses import dataclass

import numpy as np

from llmrec.config.data.outcomes import NO_OUTCOME
from llmrec.features.arrays import Bools, Floats32, Ints
from llmrec.features.asof.events import EntityEvents, flatten
from llmrec.features.asof.history import History
from llmrec.schema import DAY_MS


@dataclass(frozen=True)
class CameOfIt:
    """Of Q clicks and K kinds of events; `decided` (Q,): the window ended before `until`."""

    kinds: tuple[str, ...]
    decided: Bools
    happened: Bools  # (Q, K)
    values: Floats32  # (Q, K) the largest value, NaN where none was given
    stars: Floats32  # (Q,) of the first review with stars, NaN where there is none


def outcome_kinds(history: History) -> tuple[str, ...]:
    """The kinds of events that are labels."""
    return tuple(kind for kind in history.further.kinds if kind not in NO_OUTCOME)


def came_of(history: History, clicks: Ints, until: int) -> CameOfIt:
    """What users did with the items of `clicks` (Q,), numbers of events, within `features.outcome_days`, as far as
    it lies before `until` (ms)."""
    data, until = history.data, min(until, _end(history))
    ends = data.times[clicks] + int(history.settings.outcome_days * DAY_MS)
    kinds, of_kind, values = outcome_kinds(history), *_kinds(history, clicks, np.minimum(ends, until))
    return CameOfIt(kinds, ends <= until, of_kind, values, _stars(history, clicks, np.minimum(ends, until)))


def _end(history: History) -> int:
    """The first moment (ms) of which nothing is known."""
    further = history.further.by_user
    last = [int(times[-1]) for times in (history.data.times, *([further.moments] if further else [])) if len(times)]
    return max(last, default=0) + 1


def _between(events: EntityEvents, rows: Ints, begin: Ints, end: Ints) -> tuple[Ints, Ints]:
    """(T,) numbers of the entities' events in [begin, end), in order, and which of the Q queries each belongs to."""
    first = events.span(rows, begin).end
    last = np.maximum(events.span(rows, np.maximum(end, begin)).end, first)
    positions, _ = flatten(first, last)
    return np.asarray(events.order[positions]), np.repeat(np.arange(len(rows)), last - first)


def _kinds(history: History, clicks: Ints, ends: Ints) -> tuple[Bools, Floats32]:
    """(Q, K) whether an event of each kind followed, and its largest value."""
    data, further, kinds = history.data, history.further, outcome_kinds(history)
    happened = np.zeros((len(clicks), len(kinds)), np.bool_)
    values = np.full(happened.shape, np.nan, np.float32)
    if not kinds or further.by_user is None:
        return happened, values
    number, click = _between(further.by_user, data.user_rows[clicks], data.times[clicks], ends)
    place = np.array([kinds.index(kind) if kind in kinds else -1 for kind in further.kinds])
    column = place[further.numbers["kinds"][number]]
    mine = (further.numbers["item_rows"][number] == data.item_rows[clicks][click]) & (column >= 0)
    at = click[mine], column[mine]
    happened[at] = True
    np.fmax.at(values, at, further.numbers["values"][number[mine]])
    return happened, values


def _stars(history: History, clicks: Ints, ends: Ints) -> Floats32:
    """(Q,) of the click where it is a review, else of the first that followed."""
    data = history.data
    stars = data.stars[clicks].copy()
    if data.outcomes.all():
        return stars
    events = history.users.events
    number, click = _between(events, data.user_rows[clicks], data.times[clicks], ends)
    mine = (data.item_rows[number] == data.item_rows[clicks][click]) & np.isfinite(data.stars[number])
    of, first = np.unique(click[mine], return_index=True)
    stars[of] = data.stars[number[mine][first]]
    return stars
