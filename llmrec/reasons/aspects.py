"""What reviews say of one aspect of an item, counted where a reader read them."""

import numpy as np
import numpy.typing as npt

from llmrec.features.asof.state import ItemState, UserState
from llmrec.features.families.readings import PRIOR
from llmrec.reading.layout import PLACES
from llmrec.reading.text.words import CATEGORIES


def praised_aspects(user: UserState, items: ItemState) -> list[str | None]:
    """Of the items (N,), each as a sentence: the aspect that is praised most of those that the user (Q = 1) speaks of,
    else of all. None where nothing is praised more than blamed."""
    spoken, praised, blamed = (_part(items, name) for name in ("spoken", "praised", "blamed"))
    better = (praised - blamed) / (spoken + PRIOR)
    cares = _part(user, "spoken") > 0
    found: list[str | None] = []
    for row in range(len(better)):
        own = np.where(cares[0], better[row], 0)
        judged = own if own.max() > 0 else better[row]
        best = int(judged.argmax())
        if judged[best] <= 0:
            found.append(None)
            continue
        said = _said(CATEGORIES[best], round(spoken[row, best]), bool(praised[row, best] > spoken[row, best] / 2))
        found.append(f"you speak of {CATEGORIES[best]}; {said}" if judged is own else said)
    return found


def _said(aspect: str, n: int, most: bool) -> str:
    """`most`: the strengths of praise, each at most 1, add up to more than half of the `n` reviews."""
    if n == 1:
        return f"a review praises its {aspect}"
    return f"{n} reviews speak of its {aspect}, " + (
        "most of them praise it" if most else "with more praise than blame"
    )


def _part(state: UserState | ItemState, name: str) -> npt.NDArray[np.float64]:
    """(Q, C) sums over all reviews before the state's time."""
    return state.reading[:, 0, PLACES[name]].astype(np.float64)
