"""The baselines by name, each with the settings that tuning may choose from."""

from functools import partial
from typing import Literal

from llmrec.evaluation.baselines.base import Baseline, Block, Candidate, Tuned, WithFallback, recommend, tune
from llmrec.evaluation.baselines.factors import BPR, IALS, grid
from llmrec.evaluation.baselines.item_item import EASE, SLIM, ItemKNN
from llmrec.evaluation.baselines.neural import NCF, TextFactorization
from llmrec.evaluation.baselines.pointwise import Boosted, TextLogistic
from llmrec.evaluation.baselines.popularity import Popularity
from llmrec.evaluation.data.profiles import Vectors

__all__ = ["Baseline", "Block", "Candidate", "Tuned", "WithFallback", "candidates", "recommend", "tune"]

RECENT = "recent_popularity"
_QUICK = ("popularity", RECENT, "item_knn", "ease", "ials")


def candidates(
    size: Literal["quick", "full"], names: tuple[str, ...] | None = None, vectors: Vectors | None = None
) -> list[Candidate]:
    """The baselines of a size, or those named; recent popularity first, because it is everybody's fallback.

    `vectors` (n_events, dim): the reviews' vectors; without them there are no baselines on text. Raises ValueError for
    an unknown name, with those that are known.
    """
    known = {c.name: c for c in _catalogue() + _on_text(vectors)}
    wanted = names if names is not None else (_QUICK if size == "quick" else tuple(known))
    if unknown := [n for n in wanted if n not in known]:
        raise ValueError(f"evaluation.baselines: found {unknown}, expected names among {', '.join(known)}")
    return [known[n] for n in dict.fromkeys((RECENT, *wanted))]


def _catalogue() -> list[Candidate]:
    days = (7.0, 14.0, 30.0, 60.0, 90.0, 180.0, 365.0, 730.0)
    return [
        Candidate(RECENT, Popularity, grid(decay_days=days), needs_clock=True),
        Candidate("popularity", Popularity),
        Candidate("item_knn", ItemKNN, grid(neighbours=(20, 50, 100, 200, 0))),
        Candidate("ease", EASE, grid(regularization=(20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0))),
        Candidate("ials", IALS, grid(regularization=(1.0, 10.0, 30.0), alpha=(1.0, 4.0), factors=(32, 64))),
        Candidate(
            "bpr",
            BPR,
            grid(learning_rate=(0.02, 0.05), regularization=(0.02, 0.05), prior=(0.5, 1.0), iterations=(200,)),
        ),
        Candidate("slim", SLIM, grid(alpha=(0.01, 0.1, 0.3, 1.0))),
        Candidate("ncf", NCF, grid(weight_decay=(1e-2, 0.3), epochs=(10, 30))),
        Candidate("boosted", Boosted, needs_clock=True),
    ]


def _on_text(vectors: Vectors | None) -> list[Candidate]:
    if vectors is None:
        return []
    return [
        Candidate("boosted_text", partial(Boosted, vectors=vectors), needs_clock=True),
        Candidate("text_logistic", partial(TextLogistic, vectors=vectors), grid(C=(0.001, 0.1)), needs_clock=True),
        Candidate(
            "text_factorization",
            partial(TextFactorization, vectors=vectors),
            grid(weight_decay=(1e-4, 1e-2), epochs=(10, 30)),
        ),
    ]
