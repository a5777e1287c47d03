"""The oracle of the built-in corpus: the generator's own choice probabilities, knowing everything but the draw.

A shopper sees n = `SEEN_PER_PURCHASE` products, each drawn with its share q of the exposure at that moment, and takes
one with odds w = exp(taste · affinity): P(i) = n q w E[1 / (w + W)], W being the odds of the n − 1 others. As 1 / x is
the integral of exp(−s x) over s, E[1 / (w + W)] = ∫ exp(−s w) φ(s)ⁿ⁻¹ ds with φ(s) = E exp(−s w) of one product seen.
Affinity takes a dozen values, so that the integral is taken a dozen times a question, whatever the catalogue.
"""

from math import comb

import numpy as np

from llmrec.corpus.sample.generate import (
    SEEN_PER_PURCHASE,
    TASTE,
    WANTS,
    Floats,
    SampleTruth,
    exposure,
    step_of,
)
from llmrec.corpus.sample.text import Ints
from llmrec.corpus.sample.words import N_ASPECTS

_WORDED = np.arange(WANTS + 1)  # how many of the qualities looked for a product has
_VISIBLE = np.arange(3)  # how many of category and brand are liked
_LOG_S = np.linspace(-26, 4, 241)  # odds lie between 1 and some thousands, and 64 of them are added


def choice_probabilities(truth: SampleTruth, users: Ints, times: Ints, words: bool = True) -> Floats:
    """(Q, I) P(item | user, time ms) for rows `users` (Q,) of the truth, before products had are left out.

    `words` False: of an oracle that knows all but who looks for which quality, and what has it: the worded matches of
    every product are then those of chance.
    """
    items = np.arange(len(truth.item_ids))
    visible = truth.visible(users[:, None], items[None, :])
    steps, place = np.unique(step_of(times), return_inverse=True)
    shown = np.stack([exposure(truth, int(step)) for step in steps])[place]
    shown /= np.maximum(shown.sum(axis=1, keepdims=True), 1e-300)
    odds = np.exp(TASTE * truth.mixed(_VISIBLE[:, None], _WORDED[None, :]))  # (V, W)
    if words:
        worded = truth.worded(users[:, None], items[None, :])
        mass = [np.where((visible == v) & (worded == w), shown, 0).sum(axis=1) for v in _VISIBLE for w in _WORDED]
        taken = _taken(np.stack(mass, axis=1).reshape(len(users), *odds.shape), odds).reshape(len(users), -1)
        return np.asarray(shown * np.take_along_axis(taken, visible * len(_WORDED) + worded, axis=1))
    chance = np.array([comb(WANTS, w) * comb(N_ASPECTS - WANTS, WANTS - w) for w in _WORDED]) / comb(N_ASPECTS, WANTS)
    of_visible = np.stack([np.where(visible == v, shown, 0).sum(axis=1) for v in _VISIBLE], axis=1)
    taken = (_taken(of_visible[:, :, None] * chance, odds) * chance).sum(axis=2)
    return np.asarray(shown * np.take_along_axis(taken, visible, axis=1))


def _taken(mass: Floats, odds: Floats) -> Floats:
    """(Q, V, W) how often a product of each class is taken, in units of its share of the exposure.

    `mass` (Q, V, W): the classes' shares of the exposure; `odds` (V, W).
    """
    s = np.exp(_LOG_S)
    fades = np.exp(-np.multiply.outer(s, odds))  # (S, V, W)
    others = np.einsum("qvw,svw->qs", mass, fades) ** (SEEN_PER_PURCHASE - 1)
    integral = np.einsum("qs,svw->qvw", others * s * (_LOG_S[1] - _LOG_S[0]), fades)
    return np.asarray(SEEN_PER_PURCHASE * odds * integral)
