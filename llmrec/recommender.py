"""Two-stage recommendation from a bundle: what evaluation, `jobs.recommend` and the server all call."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from llmrec.bundle import Bundle
from llmrec.features.asof.state import UserState
from llmrec.models.blender import ClickModel
from llmrec.models.retrieval import Retriever
from llmrec.models.topk import top_k
from llmrec.schema import id_hash

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FALLBACK_REASON = "popularity: nothing is known about this user before this time (no events, no words)"


class Recommender:
    """Retrieve by the two-tower model, rank by the click model (see `models.blender`), fall back to popularity.

    `retrieve` is how many candidates are ranked. `approximate_above`: catalogues larger than this are searched by an
    HNSW graph; None (the default) searches exactly. Every answer is as of a time: only events strictly before count.
    """

    def __init__(self, bundle: Bundle, *, retrieve: int = 200, approximate_above: int | None = None) -> None:
        self.bundle, self.history, self.n_retrieve = bundle, bundle.history, retrieve
        selection = bundle.spec.columns_of(bundle.variant)
        self.retriever = Retriever(
            bundle.two_tower, bundle.spec, bundle.history, selection, approximate_above=approximate_above
        )
        self.clicks = ClickModel(bundle.ranker, bundle.spec, bundle.history, selection)

    def nothing_known(self, users: UserState) -> Bools:
        """(Q,) true where there are neither events nor words: these users get the popularity list."""
        return np.asarray((users.count == 0) & ~(users.text_weight > 0).any(axis=1))

    def fallback_reasons(self, users: UserState) -> list[str | None]:
        """Per user, why the answer is a popularity list; None where it is a personal one."""
        return [FALLBACK_REASON if cold else None for cold in self.nothing_known(users)]

    def retrieve(
        self, users: UserState, times: Ints, k: int, exclude: Sequence[Ints] | None = None
    ) -> tuple[Ints, Floats]:
        """The first stage: rows (Q, k), best first, −1 pads, and scores (Q, k), −inf pads.

        Candidates are the items known before `times` (Q,), less those that the user had, those in the state's own
        history, and `exclude` (rows for each query).
        """
        rows, scores = self.retriever.retrieve(users, times, k, exclude)
        for q in np.flatnonzero(self.nothing_known(users)):
            only = None if exclude is None else [exclude[q]]
            rows[q], scores[q] = self._popular(users.take(np.array([q])), times[q : q + 1], k, only)
        return rows, scores

    def rerank(self, users: UserState, times: Ints, rows: Ints, scores: Floats) -> Floats:
        """The second stage: its score for each retrieved item, (Q, N); −inf where `rows` is −1.

        `rows`, `scores` (Q, N) are `retrieve`'s answer. Users of whom nothing is known keep their popularity scores.
        """
        ranked, cold = scores.copy(), self.nothing_known(users)
        for q in np.flatnonzero(~cold):
            found = rows[q] >= 0
            user = users.take(np.array([q]))
            values = self.clicks.columns(user, rows[q, found], scores[q, found], int(times[q]))
            ranked[q, found] = self.bundle.blender.score(values)
        return ranked

    def rank(self, user: UserState, item_rows: Ints, time: int) -> Floats:
        """(N,) probability of a click by one user (Q = 1), among negatives drawn by popularity as in training."""
        items = self.history.items_at(item_rows, np.full(len(item_rows), time, np.int64))
        return np.asarray(1 / (1 + np.exp(-self.clicks.logits(user, items).astype(np.float64))), np.float32)

    def recommend(
        self, users: UserState, times: Ints, k: int, exclude: Sequence[Ints] | None = None
    ) -> tuple[Ints, Floats]:
        """Both stages: rows (Q, k), best first, −1 pads, and scores (Q, k). Beyond `retrieve`, retrieval's order."""
        rows, scores = self.retrieve(users, times, max(k, self.n_retrieve), exclude)
        return self.order(users, times, rows, scores, k)

    def order(self, users: UserState, times: Ints, rows: Ints, scores: Floats, k: int) -> tuple[Ints, Floats]:
        """The k best of `retrieve`'s answer by the second stage."""
        n = self.n_retrieve
        head = self.rerank(users, times, rows[:, :n], scores[:, :n])
        whole = np.concatenate([head, _below(head, scores[:, n:])], axis=1)
        hashes = id_hash([self.history.user_ids[r] for r in users.rows])
        places, best = top_k(whole, k, hashes, self.retriever.item_hash[rows])
        return np.where(places >= 0, np.take_along_axis(rows, np.maximum(places, 0), axis=1), -1), best

    def similar(self, item_row: int, k: int, time: int | None = None) -> tuple[Ints, Floats]:
        """The k items whose vectors have the highest cosine to the item's, rows (k,) and cosines (k,), as of `time`.

        `time`: now, as far as the bundle knows, where None.
        """
        moment = self.bundle.last_time if time is None else time
        unit = self.retriever.item_index(moment).vectors[:, :-1]  # the last number is the bias
        known = self.history.known_items(moment)
        known[item_row] = False
        cosines = np.where(known, unit @ unit[item_row], np.float32(-np.inf))[None]
        rows, scores = top_k(cosines, k, self.retriever.item_hash[item_row : item_row + 1], self.retriever.item_hash)
        return rows[0], scores[0]

    def _popular(self, user: UserState, times: Ints, k: int, exclude: Sequence[Ints] | None) -> tuple[Ints, Floats]:
        allowed = self.retriever.candidates(user, times, exclude)
        rows = np.flatnonzero(allowed[0])
        counts = self.history.item_counts(rows, np.full(len(rows), times[0], np.int64))
        scores = np.full(allowed.shape, -np.inf, np.float32)
        scores[0, rows] = self.bundle.blender.popularity(counts)
        hashes = id_hash([self.history.user_ids[user.rows[0]]])
        found, best = top_k(scores, k, hashes, self.retriever.item_hash)
        return found[0], best[0]


def _below(head: Floats, tail: Floats) -> Floats:
    """The unranked tail's scores moved, in their order, below everything ranked."""
    if tail.shape[1] == 0:
        return tail
    floor = np.where(np.isfinite(head), head, np.inf).min(axis=1, keepdims=True)
    listed = np.isfinite(tail)
    top = tail.max(axis=1, keepdims=True, where=listed, initial=np.finfo(np.float32).min)
    return np.where(listed, floor - 1 + np.where(listed, tail - top, 0), -np.inf).astype(np.float32)
