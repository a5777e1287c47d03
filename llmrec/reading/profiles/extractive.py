"""Profiles without a model: what the readings found, each with how often it was said, the most frequent first."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from llmrec.reading.private import HELD_BACK, hold_back

_MOST = 6  # of each list


class Found(NamedTuple):
    """What is counted of one review, each once."""

    liked: frozenset[str]
    disliked: frozenset[str]
    spoken: frozenset[str]  # of without a judgement
    named: frozenset[str]
    phrases: frozenset[str]


class Extractive:
    """Counts aspects, attributes and key phrases. A phrase that something was held back from is left out whole."""

    def kept(self, text: str, reading: Mapping[str, Any] | None) -> Found:
        """Of the row of READINGS; nothing where nothing was read."""
        aspects = (reading or {}).get("aspects") or []
        liked, disliked, spoken = (
            frozenset(a["category"] for a in aspects if (a["polarity"] > 0) - (a["polarity"] < 0) == sign)
            for sign in (1, -1, 0)
        )
        public = hold_back(text).lower()
        attributes = (a["value"].lower() for a in (reading or {}).get("attributes") or [])
        phrases = (phrase.lower() for phrase in (reading or {}).get("key_phrases") or [])
        named, said = (frozenset(words for words in found if words in public) for found in (attributes, phrases))
        return Found(liked, disliked, spoken, named, said)

    def document(self, side: str, kept: Sequence[Found]) -> str:
        """The profile: the same words for users and for items, so that what they share draws their vectors together."""
        lists = zip(("liked", "disliked", "spoken of", "named", "said"), zip(*kept, strict=True), strict=True)
        return profile_text({name: _counted(sets) for name, sets in lists})


def _counted(sets: Iterable[frozenset[str]]) -> list[str]:
    counts = Counter(words for said in sets for words in said if HELD_BACK not in words)
    return [f"{words} {n}" for words, n in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:_MOST]]


def profile_text(lists: Mapping[str, Sequence[str]]) -> str:
    """Lists by name as one text; "" where all are empty."""
    return "; ".join(f"{name}: {', '.join(words)}" for name, words in lists.items() if words)
