"""Pairs of texts that belong together, drawn from reviews that are learned from. One function a kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from llmrec.tuning.data import TuningData
from llmrec.tuning.texts import Ints

NOBODY = -1


@dataclass(frozen=True)
class Pairs:
    """n pairs: rows of texts, the user who ties them, and the item that the target speaks of. All (n,)."""

    anchor: Ints
    target: Ints
    user: Ints
    item: Ints

    def __len__(self) -> int:
        return len(self.anchor)

    def take(self, rows: Ints) -> "Pairs":
        """Those of some rows, in that order."""
        return Pairs(self.anchor[rows], self.target[rows], self.user[rows], self.item[rows])

    def shuffled(self, seed: int) -> "Pairs":
        """A control: every target, with its item, dealt to some anchor."""
        order = np.random.default_rng(seed).permutation(len(self))
        return Pairs(self.anchor, self.target[order], self.user, self.item[order])

    @classmethod
    def joined(cls, parts: "list[Pairs]") -> "Pairs":
        """Those of all parts, one behind the other; one part at least."""
        columns = zip(*((p.anchor, p.target, p.user, p.item) for p in parts), strict=True)
        return cls(*(np.concatenate(column) for column in columns))


def next_items(data: TuningData) -> Pairs:
    """A liked review ‖ the text of an item that its user liked later, at most `window` likes further."""
    texts = data.texts
    parts = []
    for gap in range(1, data.config.window + 1):
        early, late = _followed(data, texts.user, gap)
        parts.append(Pairs(early, texts.n_reviews + texts.item[late], texts.user[early], texts.item[late]))
    return Pairs.joined(parts)


def descriptions(data: TuningData) -> Pairs:
    """A review ‖ the text of its item."""
    rows, texts = np.arange(data.n_train), data.texts
    return Pairs(rows, texts.n_reviews + texts.item[rows], texts.user[rows], texts.item[rows])


def same_items(data: TuningData) -> Pairs:
    """A review of an item ‖ the next one of that item, by another user."""
    texts = data.texts
    rows = np.lexsort((np.arange(data.n_train), texts.item[: data.n_train]))
    early, late = rows[:-1], rows[1:]
    kept = (texts.item[early] == texts.item[late]) & (texts.user[early] != texts.user[late])
    early, late = early[kept], late[kept]
    return Pairs(early, late, np.full(len(early), NOBODY), texts.item[late])


def same_users(data: TuningData) -> Pairs:
    """The text of an item that a user liked ‖ that of the one they liked next."""
    texts = data.texts
    early, late = _followed(data, texts.user, 1)
    return Pairs(texts.n_reviews + texts.item[early], texts.n_reviews + texts.item[late], texts.user[early],
                 texts.item[late])  # fmt: skip


KINDS: Mapping[str, Callable[[TuningData], Pairs]] = MappingProxyType(
    {"next_item": next_items, "description": descriptions, "same_item": same_items, "same_user": same_users}
)


def make_pairs(kind: str, data: TuningData) -> Pairs:
    """The pairs of a kind, each of two written texts."""
    found = KINDS[kind](data)
    return found.take(np.flatnonzero(data.written(found.anchor) & data.written(found.target)))


def _followed(data: TuningData, user: Ints, gap: int) -> tuple[Ints, Ints]:
    """(earlier, later) rows of likes of one user, `gap` likes apart, of two moments and two items."""
    texts = data.texts
    liked = np.flatnonzero(texts.liked[: data.n_train])
    rows = liked[np.lexsort((liked, user[liked]))]
    early, late = rows[:-gap], rows[gap:]
    kept = (
        (user[early] == user[late]) & (texts.time[early] < texts.time[late]) & (texts.item[early] != texts.item[late])
    )
    return early[kept], late[kept]
