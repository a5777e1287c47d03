"""What a request wants now and what it does not: as the relevance of each item, and as its likeness to the unwanted."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from llmrec.features.arrays import Bools, Floats32, Ints
from llmrec.recommender import Recommender
from llmrec.search import Asked, Likeness, Matches, SearchIndex
from llmrec.search.index import DEPTH, reciprocal_ranks
from serve_app.messages import By, RequestUser, Wish

#: What an item that is not wanted says of one that is wholly like it, against words that it answers wholly.
OF_AN_ITEM = 0.5


@dataclass(frozen=True)
class Wants:
    """Over the items of one bundle. `index`: None where it holds none, so that words find nothing."""

    recommender: Recommender
    index: SearchIndex | None

    @cached_property
    def likeness(self) -> Likeness:
        """What items are alike in."""
        vectors = None if self.index is None or self.index.vectors is None else self.index.vectors.unit
        return Likeness.of(self.recommender.history.data, vectors)

    def matches(self, wish: Wish | None, allowed: Bools) -> Matches | None:
        """What words find among the items `allowed`; None without words or without an index."""
        if wish is None or self.index is None:
            return None
        return self.index.find(Asked(wish.text, wish.vector), allowed)

    def relevance(self, matches: Matches | None, like: int, allowed: Bools, at: int) -> Floats32 | None:
        """(n_items + 1,) how well each item answers: the words, the item at the row `like` (0: none), or both alike."""
        wanted = [] if not matches else [matches.answers]
        if like:
            wanted.append(np.where(allowed, self.near(like, "both", at), 0))
        if not wanted:
            return None
        return np.asarray(sum(part / (part.max() or 1) for part in wanted) / len(wanted), np.float32)

    def near(self, row: int, by: By, at: int) -> Floats32:
        """(n_items + 1,) of the items that may be listed then: cosines with one of them, or united reciprocal ranks."""
        listable = self.recommender.context.listable.at(at)
        known = listable.held.copy()
        known[row] = False
        found: dict[By, Floats32] = {}
        if by != "behaviour":
            cosines = self.likeness.kernel(np.arange(len(known)), np.array([row]))[:, 0]
            found["words"] = np.where(known, np.maximum(cosines, 0), 0).astype(np.float32)
        if by != "words":
            rows, cosines = self.recommender.similar(row, DEPTH, at, listable)
            found["behaviour"] = np.zeros(len(known), np.float32)
            found["behaviour"][rows[rows >= 0]] = np.maximum(cosines[rows >= 0], 0)
        if by != "both":
            return found[by]
        return np.asarray(sum(reciprocal_ranks(scores) for scores in found.values()), np.float32)

    def unwanted(self, user: RequestUser, rows: Ints) -> tuple[Floats32, bool | None]:
        """(N,) from 0 to 1, how like the items `rows` are to what the user does not want; whether words said anything.

        Of an item as much as its likeness to the nearest disliked one exceeds the mean's; of words how well it answers.
        """
        found, spoken = np.zeros(len(rows), np.float32), None
        disliked = self.recommender.history.item_rows(list(user.disliked))
        disliked = disliked[disliked > 0]
        if len(disliked) and len(rows):
            kernel = self.likeness.kernel(rows, disliked)
            common = kernel.mean(axis=0)
            likeness = np.clip((kernel - common) / np.maximum(1 - common, 1e-6), 0, 1).max(axis=1)
            found = np.maximum(found, OF_AN_ITEM * likeness)
        if user.unwanted is not None:
            matches = self.matches(user.unwanted, np.ones(len(self.recommender.history.item_ids), np.bool_))
            spoken = bool(matches)
            if matches:
                found = np.maximum(found, matches.answers[rows])
        return found, spoken
