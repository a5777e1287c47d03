"""The guard of the blend: it orders, or part of it does, where validation rules out that it loses to one term alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from llmrec.models.base import Blender, Ints
from llmrec.models.files.models_file import Guarded

Doubles = npt.NDArray[np.float64]
#: Shares of the blend, tested one after the other; the first that fails ends it.
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
#: Of the term's own figure: so much the blend may lose at the lower end of the interval (95 %, two-sided).
MARGIN, _Z = 0.05, 1.96
#: Blocks of queries in order of time; each but the first is judged by what those before it would have chosen.
_BLOCKS = 4
#: Queries from which on they can judge: of fewer a handful has a hit. And the length of the lists that are judged.
_LEAST, _TOP = 200, 10


@dataclass(frozen=True)
class JudgedLists:
    """Validation's queries in order of time, and the lists that hold their target.

    `users`, `items` (Q,): who asked, and what they took. `alone`: a single term -> (Q,) gain of its lists.
    Of the list n: `values[n]` (N, columns) as the blender reads it, `targets[n]` the row of what was taken,
    `queries[n]` its query.
    """

    users: Ints
    items: Ints
    alone: Mapping[str, Doubles]
    values: Sequence[Doubles]
    targets: Sequence[int]
    queries: Ints

    def within(self, start: int, stop: int) -> slice:
        """The lists of the queries from `start` to `stop`, exclusive."""
        return slice(*np.searchsorted(self.queries, [start, stop]).tolist())

    def best_alone(self, stop: int) -> str:
        """The term that ranks the queries before `stop` best by itself."""
        return max(self.alone, key=lambda name: float(self.alone[name][:stop].sum()))


def gain(scores: npt.NDArray[np.floating], target: int) -> float:
    """NDCG@10 of a list with one target: 1 / log2(1 + rank) within ten; those that tie share their mean rank."""
    rank = (scores > scores[target]).sum() + ((scores == scores[target]).sum() + 1) / 2
    return float(1 / np.log2(1 + rank)) if rank <= _TOP else 0.0


def gains(rows: Ints, targets: Ints) -> Doubles:
    """(Q,) the same of lists (Q, k) of item rows, best first; 0 where the target is not among the ten."""
    return np.asarray((rows[:, :_TOP] == targets[:, None]) @ (1 / np.log2(2 + np.arange(min(_TOP, rows.shape[1])))))


def guard(blender: Blender, make: Callable[[], Blender], columns: Sequence[str], lists: JudgedLists) -> Guarded | None:
    """Move a fitted `blender` towards the best single term, as far as validation asks for it.

    Blends that were fitted (`make`) on the queries up to a moment are judged on those that follow, beside the term that
    was best up to it. A share of the blend stands where the lower end of the paired difference is at least −MARGIN of
    what the term reaches; shares are tested in a fixed order, so that their number costs no confidence (Maurer, Hothorn
    & Lehmacher, 1995). None, and nothing changed, where there are too few queries to judge by.
    """
    if len(lists.users) < _LEAST:
        return None
    cuts = np.linspace(0, len(lists.users), _BLOCKS + 1).astype(int).tolist()
    parts = [_judged(make(), columns, lists, early, late) for early, late in pairwise(cuts[1:])]
    differences, reached = (
        np.concatenate([p[0] for p in parts], axis=1),
        float(np.mean(np.concatenate([p[1] for p in parts]))),
    )
    owners = np.stack([lists.users, lists.items])[:, cuts[1] :]
    found, term = Guarded(term="", share=0.0, lower=0.0), lists.best_alone(len(lists.users))
    for share, difference in zip(SHARES, differences, strict=True):
        lower = _lower_end(difference, *owners)
        if lower < -MARGIN * reached:
            break
        found = Guarded(term=term, share=share, lower=lower / reached if reached else 0.0)
    found = found.model_copy(update={"term": term})
    blender.lean(term, found.share)
    return found


def _judged(
    blend: Blender, columns: Sequence[str], lists: JudgedLists, early: int, late: int
) -> tuple[Doubles, Doubles]:
    """(shares, n) differences of the queries from `early` to `late` to the term's gains, and these (n,)."""
    term, before = lists.best_alone(early), lists.within(0, early)
    blend.fit(columns, lists.values[before], lists.targets[before])
    reached, mixed = lists.alone[term][early:late], np.zeros((len(SHARES), late - early))
    place, judged = columns.index(term), lists.within(early, late)
    for values, target, query in zip(
        lists.values[judged], lists.targets[judged], lists.queries[judged] - early, strict=True
    ):
        alone, whole = values[:, place], blend.score(values).astype(np.float64)
        mixed[:, query] = [gain((1 - share) * alone + share * whole, target) for share in SHARES]
    return mixed - reached, reached


def _lower_end(differences: Doubles, users: Ints, items: Ints) -> float:
    """Of the mean's interval, clustered by user and by item (Cameron, Gelbach & Miller, JBES 2011, section 2.2)."""
    mean = differences.mean()
    both = np.unique(np.stack([users, items]), axis=1, return_inverse=True)[1].ravel()
    squares = [float((np.bincount(owner, differences - mean) ** 2).sum()) for owner in (users, items, both)]
    variance = max(squares[0] + squares[1] - squares[2], *squares[:2])
    return float(mean - _Z * np.sqrt(variance) / len(differences))
