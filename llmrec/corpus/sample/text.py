"""The sentences of the sample corpus, composed for all rows at once.

Every sentence a language can say is expanded into one list; a row is a handful of indices into it.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llmrec.corpus.sample.words import N_ASPECTS, N_CATEGORIES, Words

Ints = npt.NDArray[np.int64]
N_PRAISE = 3
NONE = -1  # an index that says nothing


@dataclass
class Sentences:
    """All sentences of `languages`, language after language, each block of the same size.

    The methods turn (n,) arrays of choices into (n,) indices into `phrases`; `language` is (n,) too.
    """

    languages: list[Words]
    brands: list[str]
    phrases: list[str] = field(default_factory=list)
    start: dict[str, int] = field(default_factory=dict)
    block: int = 0

    def __post_init__(self) -> None:
        for words in self.languages:
            base = len(self.phrases)
            for name, group in self._groups(words).items():
                self.start[name] = len(self.phrases) - base
                self.phrases.extend(group)
            size = len(self.phrases) - base
            assert self.block in (0, size), "languages differ in the number of their words"
            self.block = size

    def _groups(self, words: Words) -> dict[str, list[str]]:
        wants = [aspect.want for aspect in words.aspects]
        return {
            "opening": [t.format(noun=n) for by_stars in words.opening for t in by_stars for n in words.nouns],
            "praise": [sentence for aspect in words.aspects for sentence in aspect.praise],
            "lack": [aspect.lack for aspect in words.aspects],
            "wish": [t.format(a=a, b=b) for t in words.wish for a in wants for b in wants],
            "filler": list(words.filler),
            "headline": [t for by_stars in words.headline for t in by_stars],
            "listing": [words.listing.format(noun=n, brand=b) for n in words.nouns for b in self.brands],
            "name": [f"{b} {n[0].upper()}{n[1:]}" for n in words.nouns for b in self.brands],
        }

    def opening(self, language: Ints, stars: Ints, variant: Ints, noun: Ints) -> Ints:
        n_variants = len(self.languages[0].opening[0])
        within = ((stars - 1) * n_variants + variant % n_variants) * N_CATEGORIES + noun
        return self._at("opening", language, within)

    def praise(self, language: Ints, aspect: Ints, variant: Ints) -> Ints:
        return self._at("praise", language, aspect * N_PRAISE + variant % N_PRAISE)

    def lack(self, language: Ints, aspect: Ints) -> Ints:
        return self._at("lack", language, aspect)

    def wish(self, language: Ints, first: Ints, second: Ints, variant: Ints) -> Ints:
        template = variant % len(self.languages[0].wish)
        return self._at("wish", language, (template * N_ASPECTS + first) * N_ASPECTS + second)

    def filler(self, language: Ints, variant: Ints) -> Ints:
        return self._at("filler", language, variant % len(self.languages[0].filler))

    def headline(self, language: Ints, stars: Ints, variant: Ints) -> Ints:
        n_variants = len(self.languages[0].headline[0])
        return self._at("headline", language, (stars - 1) * n_variants + variant % n_variants)

    def listing(self, language: Ints, noun: Ints, brand: Ints) -> Ints:
        return self._at("listing", language, noun * len(self.brands) + brand)

    def name(self, language: Ints, noun: Ints, brand: Ints) -> Ints:
        return self._at("name", language, noun * len(self.brands) + brand)

    def _at(self, group: str, language: Ints, within: Ints) -> Ints:
        return language * self.block + self.start[group] + within

    def say(self, indices: Ints, language: Ints) -> pa.Array:
        """Strings (n,) from `indices` (n, k): k sentences a row in that order, NONE left out."""
        phrases = pa.array(self.phrases, pa.string())
        gaps = pa.array([words.gap for words in self.languages], pa.string()).take(pa.array(language))
        columns = [phrases.take(pa.array(c, mask=c == NONE)) for c in indices.T]
        said = pc.binary_join_element_wise(*columns, gaps, null_handling="skip")
        return said.combine_chunks() if isinstance(said, pa.ChunkedArray) else said


def shuffled(indices: Ints, rng: np.random.Generator) -> Ints:
    """Each row of `indices` (n, k) in an order of its own: no place in the text gives anything away."""
    return np.take_along_axis(indices, np.argsort(rng.random(indices.shape), axis=1), axis=1)
