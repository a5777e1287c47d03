"""Past events as the network reads them: the same of a training event and of a request."""

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from llmrec.features.asof.logs.entity_log import VECTORS
from llmrec.features.asof.state import TEXT_VARIANTS, UserState
from llmrec.features.families.text import unit
from llmrec.models.base import Bools, Floats, Ints, ModelContext
from llmrec.variants import TEXT_PREFIX

_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Sequences:
    """B sequences of L places, oldest first, left-padded; D text dimensions, 0 where a variant reads no words."""

    items: Ints  # (B, L) History rows; 0 where padded, and where words stand for an item
    idx: Ints  # (B, L) in the model's vocabulary
    texts: Floats  # (B, L, 2 D) directions: the item's own text, and its reviews strictly before the event
    reviews: Floats  # (B, L, D) direction of what the user wrote
    real: Bools  # (B, L)
    times: Ints  # (B, L) ms
    until: Ints  # (B, L) ms of the user's next event; of the request at the last place

    def __len__(self) -> int:
        return len(self.items)

    def cropped(self) -> "Sequences":
        """Without the places that all pad; one place at least."""
        first = min(int(np.argmax(self.real.any(axis=0))) if self.real.any() else np.inf, self.real.shape[1] - 1)
        return Sequences(**{f.name: getattr(self, f.name)[:, int(first) :] for f in fields(self)})

    def tensors(self, device: str = "cpu") -> list[torch.Tensor]:
        """As the net's `user_vectors` takes them. Hours of each row count from its first place: float32 tells them."""
        start = np.where(self.real, self.times, np.iinfo(np.int64).max).min(axis=1, keepdims=True)
        hours = [np.where(self.real, (t - start) / _HOUR_MS, 0).astype(np.float32) for t in (self.times, self.until)]
        values: list[npt.NDArray[np.generic]] = [self.idx, self.texts, self.reviews, self.real, *hours]
        return [torch.as_tensor(np.ascontiguousarray(v), device=device) for v in values]


@dataclass(frozen=True)
class SequenceReader:
    """What a model of a context reads of events, items and requests; all as of a time."""

    context: ModelContext
    words: bool = True  # whether it reads words, where its variant does

    @cached_property
    def text_dim(self) -> int:
        read = self.words and any(column.family.startswith(TEXT_PREFIX) for column in self.context.dense)
        return self.context.history.text_dim if read else 0

    def items_at(self, rows: Ints, times: Ints) -> tuple[Ints, Floats]:
        """(n,) idx, 0 for an item without an event before its time, and (n, 2 D) texts."""
        history = self.context.history
        had = history.items.events.span(rows, times).count > 0
        idx = np.where(had, self.context.spec.item_idx(rows), 0).astype(np.int64)
        if not self.text_dim:
            return idx, np.zeros((len(rows), 0), np.float32)
        return idx, np.concatenate([unit(history.data.description[rows]), unit(history.item_profiles(rows, times))], 1)

    def of_positions(self, positions: Ints, real: Bools, until: Ints) -> Sequences:
        """Events by their (B, L) positions among users' events."""
        events = self.context.history.users.events
        items = np.where(real, self.context.history.data.item_rows[events.order[positions]], 0)
        return self._sequences(items, np.where(real, events.times[positions], 0), until, self._written(positions, real))

    def of_states(self, users: UserState) -> Sequences:
        """What B users had before their times; of somebody new also words, see `_spoken`."""
        events = self.context.history.users.events
        positions, exists = events.last(events.span(users.rows, users.times), users.history.shape[1])
        until = np.concatenate([users.history_times[:, 1:], users.times[:, None]], axis=1)
        found = self._sequences(users.history, users.history_times, until, self._written(positions, exists))
        if self.text_dim:
            for q in np.flatnonzero((users.rows == 0) & (users.text_weight > 0).any(axis=1)):
                self._spoken(found, q, unit(users.text[q, TEXT_VARIANTS.index("mean")]), int(users.times[q]))
        return found

    @staticmethod
    def _spoken(found: Sequences, q: np.int64, words: Floats, time: int) -> None:
        """Words of somebody new are what they wrote about each item that they name; where they name none, they took an
        item of which nothing is known but that it is so described."""
        if not found.real[q].any():
            found.real[q, -1], found.times[q, -1] = True, time
            found.texts[q, -1] = np.tile(words, 2)
        found.reviews[q, found.real[q]] = words

    def _written(self, positions: Ints, real: Bools) -> Floats:
        """(B, L, D) what users wrote at their positions."""
        written = np.zeros((*real.shape, self.text_dim), np.float32)
        if self.text_dim:
            written[real] = unit(self.context.history.users.rows[VECTORS].take(positions[real])[:, :-1])
        return written

    def _sequences(self, items: Ints, times: Ints, until: Ints, reviews: Floats) -> Sequences:
        real = items > 0
        texts = np.zeros((*items.shape, 2 * self.text_dim), np.float32)
        _, texts[real] = self.items_at(items[real], times[real])
        idx = self.context.spec.item_idx(items).astype(np.int64)  # an item of the past has had an event
        return Sequences(items, idx, texts, reviews, real, times.copy(), until)
