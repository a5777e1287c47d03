"""Feature families made from words: profiles and similarities. Zero stands for "no text"."""

import numpy as np
import numpy.typing as npt

from llmrec.features.arrays import Bools, Floats, Floats32
from llmrec.features.asof.state import TEXT_VARIANTS, ItemState, UserState

_TINY = 1e-12


def unit(vectors: npt.NDArray[np.floating]) -> Floats32:
    """Length one along the last axis; zero stays zero."""
    length = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))[..., None]
    return np.asarray(vectors / np.maximum(length, _TINY), np.float32)


def profile(state: UserState | ItemState, variant: str) -> Floats32:
    """(Q, D) the profile `variant` (TEXT_VARIANTS) as a direction."""
    return unit(state.text[:, TEXT_VARIANTS.index(variant)])


def description(state: ItemState) -> Floats32:
    """(I, D) the item's own text as a direction."""
    return unit(state.description)


def similarities(user: UserState, item: ItemState) -> Floats:
    """(N, 15) cosines between what the user wrote or read about, and the candidate's reviews and own text.

    `user` has N rows or one. All vectors have the training mean subtracted (the projection centres), so 0 says
    "nothing in common".
    """
    candidates = {"profile": profile(item, "mean"), "description": description(item)}
    past = {"profile": unit(user.history_text), "description": unit(user.history_description)}
    own = [profile(user, variant) for variant in TEXT_VARIANTS]
    columns = [dot(mine, theirs) for theirs in candidates.values() for mine in own]
    for kind, theirs in candidates.items():
        columns += _to_history(past[kind], user.history_mask, theirs)
    columns.append(dot(past["description"][:, -1], candidates["profile"]))
    return np.column_stack(columns).astype(np.float64)


def similarity_names() -> list[str]:
    kinds = ("profile", "description")
    own = [f"user_{variant}_{kind}" for kind in kinds for variant in TEXT_VARIANTS]
    history = [f"history_{how}_{kind}" for kind in kinds for how in ("last", "mean", "max")]
    return [*own, *history, "last_description_profile"]


def dot(a: Floats32, b: Floats32) -> Floats32:
    """(N,) products of the rows of `a`, N or one, and `b`: cosines, where both are directions."""
    cosine: Floats32 = np.einsum("nd,nd->n", np.broadcast_to(a, b.shape), b)
    return cosine


def _to_history(past: Floats32, mask: Bools, theirs: Floats32) -> list[Floats32]:
    """Cosine of the candidate to the last past item, and mean and largest cosine to all; 0 without history."""
    cosine = np.einsum("nld,nd->nl", np.broadcast_to(past, (len(theirs), *past.shape[1:])), theirs)
    number = np.maximum(mask.sum(axis=1), 1)
    largest = np.where(mask, cosine, -np.inf).max(axis=1)
    return [cosine[:, -1], (cosine * mask).sum(axis=1) / number, np.where(np.isfinite(largest), largest, 0)]
