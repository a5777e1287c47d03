"""Words as a present need: what they find joins the candidates, and how well it answers joins the score. So does how
like an item is to what is not wanted, which counts against it.

A corpus without logged searches cannot fit how much a need weighs against taste: the weight is stated, not learned.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from llmrec.features.arrays import Floats32, Ints
from llmrec.features.asof.state import UserState
from llmrec.models.topk import top_k
from llmrec.reasons import Because, ItemReasons
from llmrec.recommender import CandidateSet, Recommender
from llmrec.search.texts import Highlight

#: What counts against an item that is wholly like something unwanted, in units of the scores' spread.
UNWANTED = 2.0


@dataclass(frozen=True)
class NeededItems:
    """Candidates of one user, rows (N,), with the relevance (N,) of each to what was asked, and the need's weight.

    `unwanted` (N,), 0 to 1: how like each is to what is not wanted.
    """

    rows: Ints
    relevance: Floats32
    weight: float
    unwanted: Floats32


def needed_items(found: CandidateSet, relevance: Floats32, weight: float, n: int) -> NeededItems:
    """Retrieval's candidates of one user and the `n` items of most `relevance` (n_items,), where it is above 0."""
    retrieved = found.rows[0][found.rows[0] > 0]
    matched = np.flatnonzero(relevance)
    best = matched[np.argsort(-relevance[matched], kind="stable")][:n]
    rows = np.concatenate([retrieved, np.setdiff1d(best, retrieved)])
    return NeededItems(rows, relevance[rows], weight, np.zeros(len(rows), np.float32))


@dataclass(frozen=True)
class NeedRanking:
    """Candidates (N,), the best first: score = `scale` · (taste − its mean) + the sum of `parts`."""

    rows: Ints
    scores: Floats32
    taste: Floats32  # what the second stage says
    scale: float
    parts: Mapping[str, Floats32]  # what `need` adds and `unwanted` takes away, each of mean zero

    def reasons(self, of_taste: list[ItemReasons], listed: Ints) -> list[ItemReasons]:
        """Of the candidates at the places `listed`: reasons of taste as those of scores, from the mean candidate on."""
        told = ({name: float(part[place]) for name, part in self.parts.items()} for place in listed.tolist())
        return [self._with_parts(found, parts) for found, parts in zip(of_taste, told, strict=False)]

    def _with_parts(self, found: ItemReasons, parts: dict[str, float]) -> ItemReasons:
        terms = {name: self.scale * value for name, value in found.contributions.items()} | parts
        because = [replace(b, effect=self.scale * b.effect) for b in found.because if b.kind != "nothing"]
        if parts.get("need", 0) > 0:
            because.append(Because("asked", "it answers what you ask for", parts["need"]))
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
    over the candidates: with 0 the order is the recommender's own, with 1 that of search. What is wholly like something
    unwanted loses UNWANTED such units against what is not like it at all.
    """
    if not len(needed.rows):
        none = np.zeros(0, np.float32)
        return NeedRanking(needed.rows, none, none, 0.0, {})
    taste = recommender.rank(user, needed.rows, time).scores
    scale = (1 - needed.weight) / _spread(taste)
    parts = {"need": _centred(needed.relevance) * np.float32(needed.weight / _spread(needed.relevance)),
             "unwanted": -np.float32(UNWANTED) * _centred(needed.unwanted)}  # fmt: skip
    parts = {name: part for name, part in parts.items() if part.any()}
    scores = np.asarray(np.float32(scale) * _centred(taste) + sum(parts.values()), np.float32)
    data = recommender.context.interactions
    places, best = top_k(scores[None], len(scores), data.user_hash[user.rows], data.item_hash[needed.rows][None])
    parts = {name: part[places[0]] for name, part in parts.items()}
    return NeedRanking(needed.rows[places[0]], best[0], taste[places[0]], scale, parts)


def _centred(values: Floats32) -> Floats32:
    return np.asarray(values - values.mean(dtype=np.float64), np.float32)


def _spread(values: Floats32) -> float:
    """The standard deviation; 1 where all are alike."""
    return float(values.std(dtype=np.float64)) or 1.0
