"""The second pass over events, users and relations: each once, repeats by the policy of their kind, and the outcome."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.config.data.corpus import CorpusConfig
from llmrec.config.data.events import REVIEW
from llmrec.corpus.passes.keys import Ints, first_of_each, joint_codes
from llmrec.corpus.passes.merging.bucket_report import BucketReport
from llmrec.corpus.passes.merging.repeats import n_repeats
from llmrec.corpus.passes.shard import UNIT, tables_of
from llmrec.schema import DAY_MS, C, outcome_id

_ORDER = (C.TIMESTAMP, C.EVENT_ORDER)
EVENT_ORDER = (C.TIMESTAMP, C.EVENT_ORDER, C.EVENT_ID, UNIT, C.LINE)


def copies(rows: pa.Table) -> npt.NDArray[np.bool_]:
    """(n,) whether an earlier row of the same user has the same event_id, in `rows` in order."""
    return ~first_of_each(joint_codes([rows.column(C.USER_ID), rows.column(C.EVENT_ID)]))


def by_policy(rows: pa.Table, policies: Mapping[str, str], report: BucketReport) -> pa.Table:
    """`rows` (in order) in which a pair's events of one kind and visit are one, for the kinds whose policy says so.

    It is the last of them; where the policy is "sum" it has the sum of their values. A visit is a session, or, without
    one, a day of UTC: an event is never left out for what comes on another day.
    """
    kept = np.ones(rows.num_rows, np.bool_)
    values = rows.column(C.VALUE).to_pandas().to_numpy(np.float64, copy=True)
    for kind, policy in policies.items():
        mine = np.flatnonzero(pc.equal(rows.column(C.KIND), kind).to_numpy())
        if policy == "keep" or not len(mine):
            continue
        visit = _visits(rows.take(mine))
        last = first_of_each(visit[::-1])[::-1]
        kept[mine[~last]] = False
        if policy == "sum":
            values[mine[last]] = _summed(values[mine], visit)[visit[last]]
    report.merged += int((~kept).sum())
    column = pa.array(values.astype(np.float32), from_pandas=True)
    return rows.set_column(rows.schema.get_field_index(C.VALUE), rows.schema.field(C.VALUE), column).filter(
        pa.array(kept)
    )


def _visits(rows: pa.Table) -> Ints:
    """(n,) codes of user, item and visit."""
    day = pc.cast(pc.divide(rows.column(C.TIMESTAMP), DAY_MS), pa.string())
    return joint_codes([rows.column(C.USER_ID), rows.column(C.ITEM_ID), rows.column(C.SESSION),
                        pc.if_else(pc.is_valid(rows.column(C.SESSION)), "", day)])  # fmt: skip


def _summed(values: npt.NDArray[np.float64], codes: Ints) -> npt.NDArray[np.float64]:
    """(codes,) sums of what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    n = codes.max(initial=0) + 1
    total = np.bincount(codes[there], values[there], n)
    return np.where(np.bincount(codes[there], minlength=n) > 0, total, np.nan)


def outcome_rows(config: CorpusConfig, events: pa.Table) -> pa.Table:
    """The events that are the outcome, as rows of `reviews`: without stars and words."""
    wanted = pc.equal(events.column(C.KIND), config.outcome.kind)
    if config.outcome.at_least is not None:
        wanted = pc.and_(wanted, pc.fill_null(pc.greater_equal(events.column(C.VALUE), config.outcome.at_least), False))
    rows = events.filter(pc.and_(wanted, pc.is_valid(events.column(C.ITEM_ID))))
    ids = pa.array([outcome_id(one) for one in rows.column(C.EVENT_ID).to_pylist()], pa.string())
    there = {C.REVIEW_ID: ids} | {c: rows.column(c) for c in (C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.EVENT_ORDER)}
    schema = tables_of(config)["reviews"]
    there |= {C.OUTCOME: pa.array(np.ones(len(ids), np.bool_))}
    return pa.table([there.get(f.name, pa.nulls(len(ids), f.type)) for f in schema], schema=schema)


def with_outcomes(config: CorpusConfig, reviews: pa.Table, events: pa.Table | None, report: BucketReport) -> pa.Table:
    """The rows of the table `reviews`: the reviews and, where the outcome is another, its events, in order."""
    schema = tables_of(config)["reviews"]
    if config.outcome.kind == REVIEW:
        return reviews.select(schema.names)
    outcomes = schema.empty_table() if events is None else outcome_rows(config, events)
    report.outcomes, report.outcome_repeats = outcomes.num_rows, n_repeats(outcomes)
    if C.OUTCOME in schema.names:
        reviews = reviews.append_column(C.OUTCOME, pa.array(np.zeros(reviews.num_rows, np.bool_)))
    both = pa.concat_tables([reviews.select(schema.names).cast(schema), outcomes])
    order = np.lexsort([both.column(name).to_numpy() for name in reversed(_ORDER)])
    return both.take(pa.array(order))


def one_relation_each(rows: pa.Table) -> pa.Table:
    """Who follows whom, each pair once, since its first time; without a time is before every other."""
    rows = rows.sort_by([(c, "ascending") for c in (C.FOLLOWER_ID, C.FOLLOWED_ID)])
    since = rows.column(C.SINCE).fill_null(np.iinfo(np.int64).min).to_numpy()
    codes = joint_codes([rows.column(C.FOLLOWER_ID), rows.column(C.FOLLOWED_ID)])
    order = np.lexsort((since, codes))
    return rows.take(pa.array(np.sort(order[first_of_each(codes[order])])))


def portray_events(table: pa.Table, report: BucketReport) -> None:
    """Fill in the figures of a bucket's events."""
    for row in pc.value_counts(table.column(C.KIND)).to_pylist():
        report.kinds[row["values"]] += row["counts"]
    report.users = len(pc.unique(table.column(C.USER_ID)))
    if table.num_rows:
        times = table.column(C.TIMESTAMP).to_numpy()
        report.first, report.last = int(times.min()), int(times.max())
