"""What a bucket holds, in a form that adds up over buckets (a user's events are all in one)."""

import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.corpus.passes.keys import codes_of, hashed
from llmrec.schema import DAY_MS, C

_TEXTS_A_BUCKET = 300
_IDS_A_BUCKET = 1_000
_DAY_AHEAD = DAY_MS  # clocks of other zones


@dataclass
class BucketReport:
    """Counts of one bucket of reviews, items, events, users or relations."""

    kind: str
    number: int = 0
    rows: int = 0
    copies: int = 0  # rows with the pair, the time and the words of another
    replaced: int = 0  # rows whose pair came again later, where the last alone counts
    repeats: int = 0  # events kept whose pair came before
    merged: int = 0  # rows of an item, a user or a relation that another row describes too; events put together
    users: int = 0
    largest: tuple[int, str] = (0, "")  # events of the user with most of them
    tied: int = 0  # events that share their time with another event of the same user
    whole_day: int = 0  # events stamped midnight UTC
    future: int = 0
    no_text: int = 0
    no_stars: int = 0
    first: int | None = None
    last: int | None = None
    stars: Counter[float] = field(default_factory=Counter)
    items: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))  # hashes, each once
    ids: list[str] = field(default_factory=list)  # of a few items, to show
    outcomes: int = 0  # rows of the reviews that are events
    outcome_repeats: int = 0  # of those whose pair came before
    kinds: Counter[str] = field(default_factory=Counter)  # of events
    undated: int = 0  # relations without a time
    lengths: dict[str, Counter[int]] = field(default_factory=dict)  # of the vectors, by column
    texts: list[str] = field(default_factory=list)  # a few, for the portrait's languages
    chars: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  # of those texts
    longest: int = 0


def portray_items(table: pa.Table, report: BucketReport) -> None:
    """Fill in which items the bucket's table has."""
    ids = table.column(C.ITEM_ID).unique()
    report.ids = ids[:_IDS_A_BUCKET].to_pylist()
    report.items = np.unique(hashed(pa.chunked_array([ids]))) if len(ids) else report.items


def portray_reviews(table: pa.Table, report: BucketReport) -> None:
    """Fill in the figures of a bucket's reviews."""
    if not table.num_rows:
        return
    portray_items(table, report)
    _users_and_times(table, report)
    stars = table.column(C.STARS)
    report.no_stars = stars.null_count
    report.stars = Counter(dict(zip(*np.unique(stars.drop_null().to_numpy(), return_counts=True), strict=True)))
    _texts(table.column(C.TEXT), report)


def _users_and_times(table: pa.Table, report: BucketReport) -> None:
    user, times = codes_of(table.column(C.USER_ID)), table.column(C.TIMESTAMP).to_numpy()
    counts = np.bincount(user)
    report.users = int((counts > 0).sum())
    rows = np.flatnonzero(counts[user] == counts.max())
    report.largest = int(counts.max()), min(table.column(C.USER_ID).take(rows).unique().to_pylist())
    report.first, report.last = int(times.min()), int(times.max())
    report.whole_day = int((times % DAY_MS == 0).sum())
    report.future = int((times > time.time() * 1000 + _DAY_AHEAD).sum())
    report.tied = int(pd.DataFrame({"user": user, "time": times}).duplicated(keep=False).sum())


def _texts(text: pa.ChunkedArray, report: BucketReport) -> None:
    report.no_text = text.null_count
    written = text.drop_null()
    chars = pc.utf8_length(written).to_numpy()
    every = max(1, len(written) // _TEXTS_A_BUCKET)
    some = np.arange(0, len(written), every)[:_TEXTS_A_BUCKET]
    report.texts = [t[:1_000] for t in written.take(some).to_pylist()]
    report.chars, report.longest = chars[some].astype(np.int64), int(chars.max(initial=0))
