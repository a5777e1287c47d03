"""From the tables `events`, `users` and `relations` of a corpus to the files of a history."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llmrec.config import FeaturesConfig
from llmrec.config.data.events import OutcomeConfig
from llmrec.features.arrays import Ints, write_array
from llmrec.features.asof.events import EntityEvents
from llmrec.features.asof.history_data import HistoryData, attribute_hash
from llmrec.features.asof.ids import Ids
from llmrec.features.asof.logs.entity_log import save_events
from llmrec.features.asof.logs.further_logs import BY_NUMBER, SUMS, kind_sums
from llmrec.features.asof.logs.happened import Happened, Names, event_ties, write_names
from llmrec.schema import ATTRIBUTE_PREFIX, event_order
from llmrec.schema import Column as C
from llmrec.storage import Artifact

_EVENTS = [C.EVENT_ID, C.USER_ID, C.ITEM_ID, C.TIMESTAMP, C.EVENT_ORDER, C.KIND, C.VALUE]


def write_further(corpus: Artifact, data: HistoryData, folder: str) -> None:
    """Write what happened besides, and who follows whom; only names where there is neither."""
    kinds, n_relations = list[str](), 0
    if corpus.holds("events") and corpus.dataset("events").count_rows():
        happened, kinds = _happened(corpus.table("events", _EVENTS), data)
        _write_events(folder, happened, kinds, len(data.user_ids), len(data.item_ids), data.settings)
    if corpus.holds("relations"):
        table = corpus.table("relations")
        n_relations = table.num_rows
        if n_relations:
            follower, followed = (data.user_ids.rows_of(table[name]) for name in (C.FOLLOWER_ID, C.FOLLOWED_ID))
            since, pairs = table[C.SINCE].fill_null(0).to_numpy(), (table[C.FOLLOWER_ID], table[C.FOLLOWED_ID])
            orders = event_order(*(ids.to_pylist() for ids in pairs))
            _write_relations(folder, follower, followed, since, orders, len(data.user_ids))
    asked = corpus.manifest.info.get("outcome", {})
    outcome = OutcomeConfig.model_validate({name: asked[name] for name in ("kind", "at_least") if name in asked})
    write_names(folder, Names(tuple(kinds), n_relations, outcome))


def _happened(events: pa.Table, data: HistoryData) -> tuple[Happened, list[str]]:
    """The events in order of (time, event_order, tie), and the kinds that their numbers stand for."""
    ties = event_ties(events[C.EVENT_ID])
    order = np.lexsort((ties, events[C.EVENT_ORDER].to_numpy(), events[C.TIMESTAMP].to_numpy()))
    events = events.take(pa.array(order)).combine_chunks()
    kinds = sorted(events[C.KIND].unique().to_pylist())
    numbers = Ids(["", *kinds]).rows_of(events[C.KIND]) - 1
    users, items = data.user_ids.rows_of(events[C.USER_ID]), data.item_ids.rows_of(events[C.ITEM_ID].fill_null(""))
    values = events[C.VALUE].to_pandas().to_numpy(np.float32)
    times, orders = events[C.TIMESTAMP].to_numpy(), events[C.EVENT_ORDER].to_numpy()
    return Happened(users, items, times, numbers, values, orders, ties[order]), kinds


def _write_events(folder: str, happened: Happened, kinds: Sequence[str], n_users: int, n_items: int,
                 settings: FeaturesConfig) -> None:  # fmt: skip
    """Write the events of all kinds, with their running sums."""
    write_array(f"{folder}/moments.npy", happened.times)
    for name in BY_NUMBER:
        write_array(f"{folder}/{name}.npy", getattr(happened, name))
    by_user = EntityEvents.of(happened.user_rows, happened.times, n_users)
    save_events(f"{folder}/by_user", by_user, happened.values[by_user.order])
    about = np.flatnonzero(happened.item_rows)  # a search is about no item
    write_array(f"{folder}/item_moments.npy", happened.times[about])
    every = np.arange(len(happened.times))
    for side, some, rows, n in (("users", every, happened.user_rows, n_users), ("items", about, happened.item_rows,
                                                                                 n_items)):  # fmt: skip
        entity = rows[some] * len(kinds) + happened.kinds[some]
        events = EntityEvents.of(entity, happened.times[some], n * len(kinds))
        events = replace(events, order=some[events.order])
        values = happened.values[events.order]
        save_events(f"{folder}/{side}", events, values)
        write_array(f"{folder}/{side}/{SUMS}", kind_sums(events, values, settings, None).stored.whole())


def _write_relations(folder: str, followers: Ints, followed: Ints, since: Ints, orders: npt.NDArray[np.uint64],
                    n_users: int) -> None:  # fmt: skip
    """Write who follows whom since when (ms), all (n,); `orders`: of those of one beginning."""
    order = np.lexsort((orders, since))
    relations = EntityEvents.of(followers[order], since[order], n_users)
    save_events(f"{folder}/relations", relations, np.zeros(len(since), np.float32))
    write_array(f"{folder}/relations/moments.npy", since[order])
    write_array(f"{folder}/relations/followed.npy", followed[order][relations.order])
    write_array(f"{folder}/relations/follow_orders.npy", orders[order])


def user_arrays(corpus: Artifact, user_ids: Ids) -> dict[str, Any]:
    """Users' attributes as hashes by row, a column each; none where the corpus has no users."""
    columns = [n for n in corpus.dataset("users").schema.names if n != C.USER_ID] if corpus.holds("users") else []
    codes, names = np.zeros((len(user_ids), len(columns)), np.int64), dict[int, str]()
    if columns:
        table = corpus.table("users").combine_chunks()
        rows = user_ids.rows_of(table[C.USER_ID])
        for slot, column in enumerate(columns):
            encoded = table[column].combine_chunks().dictionary_encode()
            labels = encoded.dictionary.to_pylist()
            known = np.array([*(attribute_hash(column, label) for label in labels), 0], np.int64)
            codes[rows, slot] = known[encoded.indices.fill_null(len(labels)).to_numpy()]
            shown = (f"{column.removeprefix(ATTRIBUTE_PREFIX)}={label}" for label in labels)
            names |= dict(zip(known[:-1].tolist(), shown, strict=True))
    return {"user_attributes": codes, "user_attribute_names": names}
