"""Splits of the events: cut-offs in time (primary), the last event of each user, random shares of each user.

Events are ordered by (timestamp, event_order) everywhere, never by their place in a file.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.config.data.corpus import SplitConfig
from llmrec.schema import Column
from llmrec.storage import Artifact

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Masks:
    """Which events (n,) belong to which side; no event is in two."""

    train: Bools
    validation: Bools
    test: Bools


@dataclass(frozen=True)
class Cutoffs:
    """T1 and T2 in ms: training before t1, validation in [t1, t2), test from t2 on."""

    t1: float
    t2: float

    def masks(self, timestamps: Ints) -> Masks:
        """The three sides of the `temporal` protocol. `timestamps` (n,) ms."""
        return Masks(timestamps < self.t1, (timestamps >= self.t1) & (timestamps < self.t2), timestamps >= self.t2)


def review_cutoffs(corpus: Artifact, config: SplitConfig) -> Cutoffs:
    """By the times of the corpus's reviews. Raises ValueError as `cutoffs` does."""
    return cutoffs(corpus.table("reviews", [Column.TIMESTAMP]).column(Column.TIMESTAMP).to_numpy(), config)


def cutoffs(timestamps: Ints, config: SplitConfig) -> Cutoffs:
    """Quantiles of the event times (n,) ms, interpolated between events as np.quantile does.

    Raises ValueError where a side would be empty, which happens where few moments hold most events.
    """
    if not len(timestamps):
        raise ValueError("split: found 0 events, expected a corpus with some")
    t1, t2 = np.quantile(timestamps, [config.validation_quantile, config.test_quantile]).tolist()
    cut = Cutoffs(t1, t2)
    sides = cut.masks(timestamps)
    sizes = {name: int(getattr(sides, name).sum()) for name in ("train", "validation", "test")}
    if not all(sizes.values()):
        found = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(
            f"split: an empty side: {found} of {len(timestamps)} events, with T1 {_day(t1)} and T2 {_day(t2)} "
            f"(quantiles {config.validation_quantile} and {config.test_quantile}); expected events on every side; move "
            "split.validation_quantile and split.test_quantile apart, or bring events of more than "
            f"{len(np.unique(timestamps))} moments"
        )
    return cut


def leave_last_out(user_rows: Ints, timestamps: Ints, event_order: npt.NDArray[np.uint64]) -> Masks:
    """Each user's last event is the test, the one before it validation; users with one event have it in training.

    All arrays (n,). Users with two events have no validation event. The training side is transductive: it holds other
    people's later events too, as in published tables.
    """
    order = np.lexsort((event_order, timestamps, user_rows))
    from_end, count = _place_from_end(user_rows[order])
    test, validation = np.zeros(len(order), bool), np.zeros(len(order), bool)
    test[order] = (from_end == 0) & (count > 1)
    validation[order] = (from_end == 1) & (count > 2)
    return _refuse_empty(Masks(~test & ~validation, validation, test), "leave_last_out")


def random_per_user(user_rows: Ints, config: SplitConfig, seed: int) -> Masks:
    """A random share of each user's events (n,), transductive; the shares are those of the quantiles.

    Stratified: of n events of a user, n times the share goes to a side, rounded up or down at random.
    """
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(user_rows)), user_rows))
    users = user_rows[order]
    from_end, count = _place_from_end(users)
    shift = rng.random(int(users.max(initial=0)) + 1)[users]
    place = (count - 1 - from_end + shift) / count  # in [0, 1), evenly spread whatever the count
    test, validation = np.zeros(len(order), bool), np.zeros(len(order), bool)
    test[order] = place > config.test_quantile
    validation[order] = (place > config.validation_quantile) & (place <= config.test_quantile)
    return _refuse_empty(Masks(~test & ~validation, validation, test), "random")


def _place_from_end(users: Ints) -> tuple[Ints, Ints]:
    """For rows sorted by user: how many of the user's rows follow each, and how many the user has."""
    _, start, counts = np.unique(users, return_index=True, return_counts=True)
    count = np.repeat(counts, counts)
    within = np.arange(len(users)) - np.repeat(start, counts)
    return count - 1 - within, count


def _refuse_empty(masks: Masks, protocol: str) -> Masks:
    if not masks.test.any() or not masks.train.any():
        raise ValueError(
            f"split: protocol {protocol!r} leaves an empty side: train {int(masks.train.sum())}, validation "
            f"{int(masks.validation.sum())}, test {int(masks.test.sum())} of {len(masks.test)} events; expected users "
            "with several events each; take the protocol out of evaluation.protocols, or bring a denser corpus"
        )
    return masks


def _day(ms: float) -> str:
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC).date().isoformat()
