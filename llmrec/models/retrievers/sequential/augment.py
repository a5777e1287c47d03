"""Sequences shown otherwise than they were, drawn anew each time: cropped, masked, reordered (Xie et al., ICDE 2022).

Only what is shown changes. What is to be predicted stays, but for events whose answer would then be shown: nothing
of a later time is ever seen.
"""

from dataclasses import replace

import numpy as np

from llmrec.models.base import Bools, Ints
from llmrec.models.retrievers.sequential.net import AugmentConfig
from llmrec.models.retrievers.sequential.sequences import Sequences
from llmrec.models.retrievers.sequential.windows import Targets


def augmented(
    shown: Sequences, targets: Targets, config: AugmentConfig, rng: np.random.Generator
) -> tuple[Sequences, Targets]:
    """What is shown of a batch's windows, and the targets that can still be asked for."""
    if not config.any or not len(targets):
        return shown, targets
    kept = np.ones(len(targets), np.bool_)
    if config.crop:
        shown, cropped = _cropped(shown, targets, rng.random(len(shown)) < config.crop, rng)
        kept &= cropped
    if config.reorder:
        shown, outside = _reordered(shown, targets, rng.random(len(shown)) < config.reorder, rng)
        kept &= outside
    if config.mask:
        shown = _masked(shown, rng.random(shown.real.shape) < config.mask)
    return shown, Targets(targets.window[kept], targets.place[kept], targets.items[kept], targets.times[kept])


def _masked(shown: Sequences, masked: Bools) -> Sequences:
    """`items` stays: what was had is no candidate, whether it is shown or not."""
    visible = ~masked[:, :, None]
    return replace(
        shown, idx=np.where(masked, 0, shown.idx), texts=shown.texts * visible, reviews=shown.reviews * visible
    )


def _cropped(shown: Sequences, targets: Targets, chosen: Bools, rng: np.random.Generator) -> tuple[Sequences, Bools]:
    """From a drawn event on; a target stays where an event before it is still shown."""
    n, length = shown.real.shape[1] - shown.real.sum(axis=1), shown.real.shape[1]
    first = np.where(chosen, n + (rng.random(len(shown)) * (length - n)).astype(np.int64), n)
    real = shown.real & (np.arange(length) >= first[:, None])
    return replace(shown, real=real), targets.place >= first[targets.window]


def _reordered(shown: Sequences, targets: Targets, chosen: Bools, rng: np.random.Generator) -> tuple[Sequences, Bools]:
    """Places and times stay, what happened there changes; a target that lies in the stretch is not asked for."""
    rows, length = np.arange(len(shown))[:, None], shown.real.shape[1]
    n = shown.real.sum(axis=1)
    size = np.where(chosen, (n + 1) // 2, 0)
    begin = length - n + (rng.random(len(shown)) * (n - size + 1)).astype(np.int64)
    places = np.arange(length)[None, :]
    inside = (places >= begin[:, None]) & (places < (begin + size)[:, None])
    order: Ints = np.argsort(
        np.where(inside, begin[:, None] + rng.random(inside.shape) * size[:, None], places), axis=1
    )
    moved = {name: getattr(shown, name)[rows, order] for name in ("items", "idx", "texts", "reviews")}
    # the target after place p is the event at p + 1: within the stretch it could stand at or before p
    follows = np.minimum(targets.place + 1, length - 1)
    last = targets.place == length - 1
    return replace(shown, **moved), last | ~inside[targets.window, follows]
