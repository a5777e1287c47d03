"""Ranked candidates as the list that is answered: which of them are shown, and why."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llmrec.diversity import Diversity, diversify
from llmrec.exploration import Exploration, Explored, Pool, demand, explore, standardised, terms_of
from llmrec.exposures.learned import LearnedFeedback
from llmrec.features.asof.state import UserState
from llmrec.models.base import Floats, Ints
from llmrec.reasons import Explainer, Guest, ItemReasons, silenced
from llmrec.recommender import Recommender
from llmrec.search import Likeness
from serve_app.messages import RankedItems, RequestUser


@dataclass(frozen=True)
class Listing:
    """What a recommender's ranking becomes for a user, who is known by a state (Q = 1)."""

    recommender: Recommender
    learned: LearnedFeedback | None  # by `linucb`; None: nothing
    likeness: Callable[[], Likeness]

    def looks_at_all(self, user: RequestUser) -> bool:
        """Whether the list depends on more candidates than it shows."""
        chosen = (user.explore, user.diversity, user.listed)
        return user.reasons or user.compare or any(said is not None for said in chosen)

    def chosen(
        self, user: RequestUser, state: UserState, rows: Ints, scores: Floats, k: int
    ) -> tuple[Ints, Explored | None]:
        """Places (k,) among the candidates, the best first, and where slots are drawn how likely each choice was."""
        if user.explore is not None and len(rows):
            return self._drawn(user.explore, state, rows, scores, k)
        before = 0 if user.listed is None else len(user.listed)
        places = self._in_order(user.diversity, rows, scores, k + before)
        if user.listed is not None:
            hashes = self.recommender.context.interactions.item_hash
            places = places[~np.isin(hashes[rows[places]], user.listed)]
        return places[:k], None

    def _in_order(self, diversity: Diversity | None, rows: Ints, scores: Floats, n: int) -> Ints:
        """The first `n` places as they are shown; those of a longer list begin with them."""
        if diversity is None or not len(rows):
            return np.arange(min(n, len(rows)))
        return diversify(diversity, scores, self.likeness().kernel(rows, rows), n)

    def _drawn(self, asked: Exploration, state: UserState, rows: Ints, scores: Floats, k: int) -> tuple[Ints, Explored]:
        time = int(state.times[0])
        contexts = standardised(scores, self.recommender.blend_columns(state, rows, time))
        learned = self.learned.state if self.learned else None
        found = explore(asked, Pool(scores, *demand(self.recommender.history, rows, time), contexts, learned), k)
        return found.places, found

    def with_chances(self, listed: RankedItems, explored: Explored | None) -> RankedItems:
        """The list with what was drawn."""
        if explored is None:
            return listed
        chances, terms = explored.propensities.tolist(), terms_of(self.recommender.columns)
        return replace(listed, propensities=chances, explored=explored, terms=terms)

    def reasons(
        self, user: RequestUser, state: UserState, rows: Ints, scores: npt.NDArray[np.floating],
        listed: Ints | None = None,
    ) -> list[ItemReasons]:  # fmt: skip
        """Why the candidates `rows`, ordered by their `scores`, stand there: those at the places `listed`, or all."""
        listed = np.arange(len(rows)) if listed is None else listed
        guest = None if state.rows[0] else self._guest(user, state)
        return Explainer(self.recommender).explain(state, rows, scores, listed, int(state.times[0]), guest)

    def without_text(self, user: RequestUser, state: UserState, rows: Ints, scores: Floats, k: int) -> list[str] | None:
        """Ids of the `k` best of the candidates `rows` without what words add to their `scores`; None: nobody asked."""
        if not user.compare:
            return None
        left = silenced(self.recommender, state, rows, int(state.times[0]), scores, "words") if len(rows) else scores
        best = rows[np.argsort(-left, kind="stable")[:k]]
        return [self.recommender.history.item_ids[int(row)] for row in best]

    def _guest(self, user: RequestUser, state: UserState) -> Guest:
        liked, recent = (self.recommender.history.item_rows(list(ids)) for ids in (user.liked, user.recent))
        guest = Guest(liked[liked > 0], recent=recent[recent > 0])
        spoken = user.vector is not None and bool(state.text_weight.any())  # words that say something
        if not spoken:
            return guest
        vectors = user.sentence_vectors if len(user.sentences) > 1 else user.vector
        alone = None if vectors is None else np.atleast_2d(vectors)
        return replace(guest, vector=user.vector, sentences=user.sentences, vectors=alone)
