"""What is not known of items' demand: a gamma posterior of each item's rate of events."""

import numpy as np
import numpy.typing as npt

from llmrec.features.asof.history import History
from llmrec.schema import DAY_MS

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DRAWS = 256
#: The gamma prior of a rate, as in the feature family `item_rate`: half an event in three days.
PRIOR_EVENTS, PRIOR_DAYS = 0.5, 3.0


def demand(history: History, rows: Ints, time: int) -> tuple[Doubles, Doubles]:
    """(N,) decayed events of the items `rows` in the longest window, and the decayed days in which they could come."""
    at = np.full(len(rows), time, np.int64)
    counts, age = history.item_counts(rows, at), np.maximum(time - history.known_since[rows], 0) / DAY_MS
    windows = history.settings.popularity_days
    if not windows:
        return counts.count, age
    longest = int(np.argmax(windows))
    return counts.decayed[:, longest], -windows[longest] * np.expm1(-age / windows[longest])


def demand_draws(
    scores: npt.NDArray[np.floating], events: Doubles, days: Doubles, draw: np.random.Generator
) -> Doubles:
    """(DRAWS, N) scores with each item's log rate replaced by one from its posterior.

    Popularity enters the score by its logarithm with weight one, as the prior correction has it. The rate's posterior
    after `events` in `days` is Gamma(events + ½, days + 3): wide where little was seen.
    """
    shape, days = np.asarray(events) + PRIOR_EVENTS, np.asarray(days) + PRIOR_DAYS
    logs = np.log(np.maximum(draw.gamma(shape, size=(DRAWS, len(shape))), np.finfo(np.float64).tiny)) - np.log(days)
    found: Doubles = np.asarray(scores, np.float64) + logs - np.log(shape / days)
    return found
