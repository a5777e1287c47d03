"""What the built-in corpus says of a product in each text: the truth that a reader is measured against.

Every sentence of praise or blame is one of `words.py`, so that the text itself tells where it stands; nothing is drawn,
and the corpus stays as it is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from llmrec.corpus.sample.words import LANGUAGES

#: What each aspect of `words.py` is about, in its order.
ASPECT_NAMES = (
    "weight", "durability", "water", "noise", "battery", "setup", "finish", "colour", "size", "feel", "sustainability",
    "repair", "safety", "comfort", "precision", "energy", "cleaning", "connectivity", "style", "power",
)  # fmt: skip


@dataclass(frozen=True)
class PlantedAspect:
    """One sentence about a quality: +1 says that the product has it, −1 that it lacks it; characters of the text."""

    category: str
    polarity: int
    start: int
    end: int


def planted_aspects(text: str) -> Iterator[PlantedAspect]:
    """The sentences of praise and blame in a text of the built-in corpus, in order."""
    pattern, known = _sentences()
    for match in pattern.finditer(text):
        yield PlantedAspect(*known[match.group()], match.start(), match.end())


@cache
def _sentences() -> tuple[re.Pattern[str], dict[str, tuple[str, int]]]:
    known = {
        sentence: (ASPECT_NAMES[at], sign)
        for words in LANGUAGES.values()
        for at, aspect in enumerate(words.aspects)
        for sign, sentences in ((1, aspect.praise), (-1, (aspect.lack,)))
        for sentence in sentences
    }
    longest_first = sorted(known, key=lambda sentence: (-len(sentence), sentence))
    return re.compile("|".join(map(re.escape, longest_first))), known
