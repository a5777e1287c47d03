"""What a reason is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: What decided: words of the request, what they ask for now, an item liked or had before, how much the item is
#: reviewed, a kind of feature.
Kind = Literal[
    "wrote", "liked", "had", "just_had", "popularity", "behaviour", "words", "aspects", "stars", "attributes", "price",
    "age", "context", "ids", "outcomes", "other", "asked", "reviewed", "nothing",
]  # fmt: skip


@dataclass(frozen=True)
class Because:
    """A reason in words.

    `effect`, in units of the score: what a kind of terms adds to it against the list's mean candidate; of `wrote`,
    `liked` and `had` how far the score falls, against that mean, where the words or the event are taken away. `quote`
    is verbatim: a sentence of the request; of `asked`, part of the item's own text; of `reviewed`, a review's sentence.
    """

    kind: Kind
    statement: str
    effect: float
    item_id: str | None = None
    quote: str | None = None


@dataclass(frozen=True)
class ItemReasons:
    """`contributions` add up to the item's score − `baseline`, the mean score of the request's candidates."""

    baseline: float
    contributions: Mapping[str, float]
    because: tuple[Because, ...]
