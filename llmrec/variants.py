"""Variants: the same two models on other feature families; and controls, whose text is withheld or replaced.

A run fits `text` and, beside it, `no_text`: what lies between them is what the text was worth. Every room that names
a variant or control reads it here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

TEXT, NO_TEXT = "text", "no_text"
#: The comparison that decides the verdict, fixed before the run.
WITH_AND_WITHOUT = (TEXT, NO_TEXT)
#: Where the truth is known: the generator's own probabilities, with the taste that only words show, and without it.
ORACLE, ORACLE_NO_TEXT = "oracle", "oracle_no_text"
#: Every feature family made from words starts so.
TEXT_PREFIX = "text"
_EVERY, _WORDS = ("*",), (f"{TEXT_PREFIX}*",)
#: The families that a variant reads, as shell patterns: (included, excluded).
FAMILY_PATTERNS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    TEXT: (_EVERY, ()), NO_TEXT: (_EVERY, _WORDS), "text_only": (_WORDS, ()), "ids_only": ((), ()),
    "no_readings": (_EVERY, ("text_read*",)),
}  # fmt: skip
#: What validation measures of a variant's lists: by it the variant to publish is chosen.
VALIDATED = "ndcg@10"
#: What a report calls a variant.
VARIANT_LABELS: Mapping[str, str] = {TEXT: "with text", NO_TEXT: "without text"}

Swap = Literal["random_vectors", "shuffled_text", "masked_reviews"]


@dataclass(frozen=True)
class Control:
    """One control: which variant is fitted, on whose vectors, with which encoder's backend, or with it untuned."""

    name: str
    description: str
    variant: str = TEXT
    swap: Swap | None = None
    backend: Literal["tfidf_svd", "word_vectors"] | None = None
    frozen: bool = False


CONTROLS: Mapping[str, Control] = {
    c.name: c
    for c in (
        Control("ids_only", "no feature at all: user and item ids, and the ids of past items", variant="ids_only"),
        Control("text_only", "text families alone; ids and the ids of past items remain", variant="text_only"),
        Control("no_readings", "every family but those of what a reader read (reading.reader)", variant="no_readings"),
        Control("frozen_encoder", "the encoder as it came in place of the tuned one (tuning.objectives)", frozen=True),
        Control("random_vectors", "each text's vector replaced by a random unit vector", swap="random_vectors"),
        Control("shuffled_text", "each review given the text of another, drawn once", swap="shuffled_text"),
        Control("masked_reviews", "reviews without their text; item texts remain", swap="masked_reviews"),
        Control("tfidf_svd", "TF-IDF and SVD in place of the encoder", backend="tfidf_svd"),
        Control("word_vectors", "static word vectors in place of the encoder", backend="word_vectors"),
    )
}


def trained_variants(text: bool) -> tuple[str, ...]:
    """What a run fits; `text`: whether it reads texts at all."""
    return WITH_AND_WITHOUT if text else (NO_TEXT,)


def variant_to_publish(validation: Mapping[str, float], verdict: str | None) -> tuple[str, str]:
    """The variant to publish, and why: the best on validation, the first where they tie; never one judged worse.

    `validation`: the ranking metric of each variant there; `verdict`: what the test says of `text` against `no_text`.
    """
    if verdict == "worse" and NO_TEXT in validation:
        return NO_TEXT, "the report judges the variant with text worse"
    best = max(validation, key=lambda variant: validation[variant])
    others = [f"{variant} {value:.4f}" for variant, value in validation.items() if variant != best]
    return best, " against ".join([f"validation prefers it: {VALIDATED} {validation[best]:.4f}", *others])


def family_patterns(variant: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Shell patterns of the families that a variant includes and excludes. Raises ValueError for another name."""
    if variant not in FAMILY_PATTERNS:
        raise ValueError(f"variant {variant!r}: expected one of {', '.join(FAMILY_PATTERNS)}")
    return FAMILY_PATTERNS[variant]


def reads_text(variant: str) -> bool:
    """Whether the variant has feature families made from words."""
    include, exclude = family_patterns(variant)
    return bool(include) and not set(_WORDS) & set(exclude)
