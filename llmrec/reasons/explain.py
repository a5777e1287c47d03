"""Reasons for the items of a list, as of the request's time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llmrec.features.asof.state import UserState
from llmrec.models.base import Ints
from llmrec.reasons.aspects import praised_aspects
from llmrec.reasons.contributions import Contributions, contributions
from llmrec.reasons.past import Guest, PastEffects, effects_of_events, effects_of_guest
from llmrec.reasons.reasons import Because, ItemReasons
from llmrec.reasons.statements import Past, past, statements, wrote
from llmrec.recommender import Recommender

#: Candidates, besides those listed, whose mean the effects of past events are measured against.
_REFERENCE = 40


@dataclass(frozen=True)
class Explainer:
    """What a recommender's answers rest on."""

    recommender: Recommender

    def explain(
        self, user: UserState, rows: Ints, scores: npt.NDArray[np.floating], listed: Ints, time: int,
        guest: Guest | None = None,
    ) -> list[ItemReasons]:  # fmt: skip
        """Of the candidates `rows` (N,), scored `scores` (N,), those at the places `listed` (k,), for one user (Q = 1).

        `guest`: what the state of somebody new was made of; None where it is that of a known user.
        """
        if not len(listed):
            return []
        found = contributions(self.recommender, user, rows, time, scores)
        effects = self._effects(user, rows, listed, time, guest)
        events = self.recommender.history.item_counts(rows, np.full(len(rows), time, np.int64)).count
        aspects = self._aspects(user, rows[listed], time)
        return [
            self._of_item(
                found, int(place), number, effects, guest, (float(events[place]), float(events.mean()), aspects[number])
            )
            for number, place in enumerate(listed)
        ]

    def _aspects(self, user: UserState, rows: Ints, time: int) -> list[str | None]:
        """What the reviews of the items praise."""
        history = self.recommender.history
        if not history.reading_dim:
            return [None] * len(rows)
        return praised_aspects(user, history.items_at(rows, np.full(len(rows), time, np.int64)))

    def _effects(self, user: UserState, rows: Ints, listed: Ints, time: int, guest: Guest | None) -> PastEffects | None:
        """Against the mean of a sample of the candidates, the listed ones among them."""
        if self.recommender.by_popularity(user)[0]:
            return None
        spread = np.linspace(0, len(rows) - 1, min(_REFERENCE, len(rows))).astype(np.int64)
        sample = np.unique(np.concatenate([spread, listed]))
        places = np.searchsorted(sample, listed)
        if guest is None:
            return effects_of_events(self.recommender, user, rows[sample], places, time)
        return effects_of_guest(self.recommender, guest, user.contexts, rows[sample], places, time)

    def _of_item(
        self, found: Contributions, place: int, number: int, effects: PastEffects | None, guest: Guest | None,
        known: tuple[float, float, str | None],
    ) -> ItemReasons:  # fmt: skip
        said = dict(zip(found.terms, found.values[place].tolist(), strict=True))
        personal = [] if effects is None else self._personal(effects, number, guest)
        because = statements(said, personal, *known)
        ordered = dict(sorted(said.items(), key=lambda term: -abs(term[1])))
        return ItemReasons(found.baseline, ordered, tuple(because))

    def _personal(self, effects: PastEffects, number: int, guest: Guest | None) -> list[Because]:
        """The past item and the sentence that the listed item owes most to."""
        found = []
        if len(effects.items):
            best = int(np.argmax(effects.effects[:, number]))
            liked = guest is not None or bool(effects.stars[best] >= self.recommender.history.settings.liked_from)
            row = int(effects.items[best])
            kind: Past = "liked" if liked else "had"
            if effects.recent is not None and row in effects.recent:
                kind = "just_had"
            found.append(past(self.recommender.history.item_ids[row], kind, float(effects.effects[best, number])))
        if guest is not None and guest.sentences and effects.words is not None and effects.sentences is not None:
            best = int(np.argmax(effects.sentences[:, number]))
            if effects.sentences[best, number] > 0:
                found.append(wrote(guest.sentences[best], float(effects.words[number])))
        return found
