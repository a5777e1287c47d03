"""`History`: as-of states over every event of a corpus, in mapped files, for the job and for the server alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from llmrec.features.arrays import Bools, Floats, Floats32, Ints, map_array, read_arrays
from llmrec.features.asof.events import EntityEvents
from llmrec.features.asof.history_data import TEXT, HistoryData, attribute_hash
from llmrec.features.asof.ids import Ids
from llmrec.features.asof.logs.entity_log import READINGS, SEQUENCES, VECTORS, EntityLog, Take, behaviour_values
from llmrec.features.asof.logs.further_logs import FurtherLogs
from llmrec.features.asof.logs.profile_log import ProfileLog
from llmrec.features.asof.logs.vector_layout import VectorLayout
from llmrec.features.asof.state import TEXT_VARIANTS, UserState
from llmrec.features.asof.states import AsOfStates
from llmrec.features.transforms.reduction import from_arrays
from llmrec.files import copy_folder, read_json
from llmrec.schema import CONTEXT_PREFIX

#: Files and folders of a history.
USERS, ITEMS, FURTHER, GLOBAL_STATS, PARTS = "users", "items", "further", "global_stats.npy", "parts.json"
REDUCTIONS = "reductions.safetensors"


class History(AsOfStates):
    """States, ids, candidates, and what a request says. `load` one from what the stage `featurize` wrote."""

    def __init__(
        self, folder_uri: str, data: HistoryData, users: EntityLog, items: EntityLog, stats: Floats,
        further: FurtherLogs, profiles: tuple[ProfileLog, ProfileLog],
    ) -> None:  # fmt: skip
        super().__init__(data, users, items, stats, further, profiles)
        self.folder, self.reductions = folder_uri, from_arrays(read_arrays(f"{folder_uri}/{REDUCTIONS}"))

    @classmethod
    def load(cls, folder_uri: str) -> "History":
        """What the stage or `save` wrote, mapped. Raises FileNotFoundError where it is not there."""
        data, parts = HistoryData.load(folder_uri), read_json(f"{folder_uri}/{PARTS}")
        if parts is None:
            raise FileNotFoundError(f"{folder_uri}: expected {PARTS}, found none; run featurize")

        def log(name: str, rows: Sequence[str], columns: Callable[[EntityEvents], Take | None]) -> EntityLog:
            return EntityLog.load(f"{folder_uri}/{name}", data.times, parts[name], rows, data.settings, columns)

        users = log(USERS, (VECTORS, SEQUENCES, READINGS), partial(columns_of, data))
        items = log(ITEMS, (VECTORS, READINGS), lambda events: None)
        further = FurtherLogs.load(f"{folder_uri}/{FURTHER}", data.settings)
        profiles = (ProfileLog.load(profiles_uri(folder_uri, USERS)), ProfileLog.load(profiles_uri(folder_uri, ITEMS)))
        return cls(folder_uri, data, users, items, map_array(f"{folder_uri}/{GLOBAL_STATS}"), further, profiles)

    def save(self, folder_uri: str) -> None:
        """Copy all of it below the folder."""
        copy_folder(self.folder, folder_uri)

    def __reduce__(self) -> tuple[Any, ...]:
        return History.load, (self.folder,)  # it travels as its address

    @property
    def user_ids(self) -> Ids:
        """Index = row; "" at row 0."""
        return self.data.user_ids

    @property
    def item_ids(self) -> Ids:
        """Index = row; "" at row 0."""
        return self.data.item_ids

    def user_rows(self, ids: Sequence[str]) -> Ints:
        """(n,) rows of the ids, 0 where unknown."""
        return self.data.user_ids.rows(ids)

    def item_rows(self, ids: Sequence[str]) -> Ints:
        """(n,) rows of the ids, 0 where unknown."""
        return self.data.item_ids.rows(ids)

    def known_items(self, time: int) -> Bools:
        """(n_items + 1,) which items are candidates at `time`: dated or first seen strictly before it."""
        known = self.known_since < time
        known[0] = False
        return known

    def seen(self, user_row: int, time: int) -> Ints:
        """(n,) item rows that are no candidates since the user had them strictly before `time`, in order of time."""
        if not self.settings.exclude_seen:
            return np.zeros(0, np.int64)
        span = self.users.events.span(np.array([user_row]), np.array([time]))
        return self.data.item_rows[self.users.events.order[span.begin[0] : span.end[0]]]

    def contexts_at(self, rows: Ints, times: Ints) -> Ints:
        """(Q, K) what the users' first events at exactly these times say of their requests; 0 where there are none.

        For the questions that an evaluation makes of events: an event's context is known before its answer.
        """
        events = self.users.events
        place = events.span(rows, times).end
        asked = np.zeros(len(place), np.bool_)
        inside = place < events.offsets[np.asarray(rows) + 1]
        asked[inside] = events.times[place[inside]] == np.asarray(times)[inside]
        found = np.zeros((len(place), len(self.data.context_columns)), np.int64)
        found[asked] = self.data.contexts[events.order[place[asked]]]
        return found

    def request_contexts(self, values: Mapping[str, str]) -> Ints:
        """(1, K) of what a request says, {"device": "mobile"}; names that the corpus has no column for say nothing."""
        columns = self.data.context_columns
        named = [values.get(column.removeprefix(CONTEXT_PREFIX)) for column in columns]
        codes = [attribute_hash(c, v) if v else 0 for c, v in zip(columns, named, strict=True)]
        return np.array([codes], np.int64).reshape(1, len(columns))

    def cold_start_state(
        self, liked_rows: Ints, text_vector: Floats32 | None, time: int, contexts: Ints | None = None,
        reading: Floats32 | None = None,
    ) -> UserState:  # fmt: skip
        """State (Q = 1) of somebody new, who liked items (oldest first) and described themself in words.

        `text_vector` (dim,) is the encoder's, `reading` (R,) what the bundle's reader read in the same words. The likes
        count as events of this moment without stars; the words stand for a liked review. What they had is in no text
        that was encoded: `sequence` is zero.
        """
        nobody = self.users_at(np.zeros(1, np.int64), np.array([time]), contexts)
        changes = self._likes(np.asarray(liked_rows, np.int64), nobody)
        if text_vector is not None and np.any(text_vector):
            changes |= self._words(np.asarray(text_vector, np.float32)[None])
        if reading is not None and reading.shape == nobody.reading.shape[2:]:
            changes["reading"] = np.broadcast_to(reading, nobody.reading.shape)
        return replace(nobody, **changes)

    def _likes(self, liked: Ints, nobody: UserState) -> dict[str, Any]:
        """What likes change in the state of nobody."""
        length = self.settings.history_length
        history = np.zeros((1, length), np.int64)
        history[0, length - len(liked[-length:]) :] = liked[-length:]
        shown = self._layout.with_presence(self.data.vectors_of_items[liked])
        count = np.array([float(len(liked))])
        return self.about_items(history, nobody.times) | {
            "count": count,
            "window": np.broadcast_to(count[:, None], nobody.window.shape),
            "decayed": np.broadcast_to(count[:, None], nobody.decayed.shape),
            "history_times": np.where(history > 0, nobody.times, 0),
            "vectors": self._layout.means(shown.sum(axis=0, dtype=np.float64)[None]),
        }

    def _words(self, vector: Floats32) -> dict[str, Any]:
        """What words, (1, dim), change in the state of nobody."""
        reduction = self.reductions.get(TEXT)
        own = vector if reduction is None else reduction(vector, "review")
        spoken = np.array([[v != "disliked" for v in TEXT_VARIANTS]], np.float32)
        last = own * bool(self.settings.profile_last)
        return {"text": spoken[:, :, None] * own[:, None], "text_weight": spoken, "text_last": last}


def profiles_uri(folder_uri: str, log: str) -> str:
    """Of the profiles' versions of users or of items."""
    return f"{folder_uri}/profiles-{log}.safetensors"


def columns_of(data: HistoryData, users: EntityEvents) -> Take | None:
    """The vectors of the items of users' events, with presence, by position; None where items bring none."""
    return partial(_shown, data, users.order) if data.vector_dims else None


def _shown(data: HistoryData, order: Ints, positions: Ints) -> Floats32:
    vectors = data.vectors_of_items[data.item_rows[order[positions]]]
    return VectorLayout(data.vector_dims).with_presence(vectors)


def global_stats_of(stars: Floats32) -> Floats:
    """See `AsOfStates`, from the stars (E,) in order of events."""
    values = behaviour_values(stars)[:, [1, 2, 3, 0]]
    return np.concatenate([np.zeros((1, 4)), np.cumsum(values, axis=0, dtype=np.float64)])
