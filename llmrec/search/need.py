"""Words as a present need: what they find joins the candidates, and how well it answers joins the score.

A corpus without logged searches cannot fit how much a need weighs against taste: the weight is stated, not learned.
"""

from dataclasses import dataclass, replace

import numpy as np

from llmrec.features.arrays import Floats32, Ints
from llmrec.features.asof.state import UserState
from llmrec.models.topk import top_k
from llmrec.reasons import Because, ItemReasons
from llmrec.recommender import CandidateSet, Recommender
from llmrec.search.index import Matches
from llmrec.search.texts import Highlight


@dataclass(frozen=True)
class NeededItems:
    """Candidates of one user, rows (N,), with the relevance (N,) of each to what was asked, and the need's weight."""

    rows: Ints
    relevance: Floats32
    weight: float


def needed_items(found: CandidateSet, matches: Matches, weight: float, n: int) -> NeededItems:
    """Retrieval's candidates of one user and the `n` items that answer the words best."""
    retrieved = found.rows[0][found.rows[0] > 0]
    rows = np.concatenate([retrieved, np.setdiff1d(matches.best(n), retrieved)])
    return NeededItems(rows, matches.relevance[rows], weight)


@dataclass(frozen=True)
class NeedRanking:
    """Candidates (N,), the best first: score = `scale` · (taste − its mean) + `answers`."""

    rows: Ints
    scores: Floats32
    taste: Floats32  # what the second stage says
    scale: float
    answers: Floats32  # what the relevance adds

    def reasons(self, of_taste: list[ItemReasons], listed: Ints) -> list[ItemReasons]:
        """Of the candidates at the places `listed`: reasons of taste as those of scores, from the mean candidate on."""
        parts = self.answers[listed].tolist()
        return [self._with_need(found, part) for found, part in zip(of_taste, parts, strict=False)]

    def _with_need(self, found: ItemReasons, part: float) -> ItemReasons:
        terms = {name: self.scale * value for name, value in found.contributions.items()} | {"need": part}
        because = [replace(b, effect=self.scale * b.effect) for b in found.because if b.kind != "nothing"]
        if part > 0:
            because.append(Because("asked", "it answers what you ask for", part))
        ordered = dict(sorted(terms.items(), key=lambda term: -abs(term[1])))
        return ItemReasons(0.0, ordered, tuple(sorted(because, key=lambda b: -b.effect)) or found.because)


def quoting(found: ItemReasons, highlights: tuple[Highlight, ...]) -> ItemReasons:
    """The reason that an item answers the words, with the part of the item's own text that does, verbatim."""
    if not highlights:
        return found
    best = max(highlights, key=lambda h: len(set(h.words)))
    said = f"its {best.field} says “{best.text}”, which answers what you ask for"
    because = (replace(b, statement=said, quote=best.text) if b.kind == "asked" else b for b in found.because)
    return replace(found, because=tuple(because))


def by_need(recommender: Recommender, user: UserState, time: int, needed: NeededItems) -> NeedRanking:
    """The candidates of a user (Q = 1), ordered.

    A score is (1 − need) · what the second stage says + need · relevance, each less its mean and in units of its spread
    over the candidates: with 0 the order is the recommender's own, with 1 that of search.
    """
    if not len(needed.rows):
        none = np.zeros(0, np.float32)
        return NeedRanking(needed.rows, none, none, 0.0, none)
    taste = recommender.rank(user, needed.rows, time).scores
    scale = (1 - needed.weight) / _spread(taste)
    answers = _centred(needed.relevance) * np.float32(needed.weight / _spread(needed.relevance))
    scores = np.asarray(np.float32(scale) * _centred(taste) + answers, np.float32)
    data = recommender.context.interactions
    places, best = top_k(scores[None], len(scores), data.user_hash[user.rows], data.item_hash[needed.rows][None])
    return NeedRanking(needed.rows[places[0]], best[0], taste[places[0]], scale, answers[places[0]])


def _centred(values: Floats32) -> Floats32:
    return np.asarray(values - values.mean(dtype=np.float64), np.float32)


def _spread(values: Floats32) -> float:
    """The standard deviation; 1 where all are alike."""
    return float(values.std(dtype=np.float64)) or 1.0
