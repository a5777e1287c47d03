"""The page of a catalogue's aspects: share and judgement of each by year, and examples with their spans marked."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

from llmrec.reading.private import hold_back

#: The page, in the artifact `readings` and beside a report.
ASPECTS = "aspects.html"
_TEMPLATE = "page.html.j2"
_EXAMPLES, _CHARS = 3, 400


class AspectPage:
    """Counts rows of READINGS as they pass; keeps no text but a few examples a category."""

    def __init__(self, liked_from: float = 4, disliked_to: float = 2) -> None:
        """Stars from and up to which a review praises and blames: against them sentiment is measured."""
        self._liked_from, self._disliked_to = liked_from, disliked_to
        self._scored: tuple[list[float], list[bool]] = ([], [])  # sentiment, whether it was liked
        self._read: Counter[int] = Counter()  # year -> reviews that were read
        self._sentiment: Counter[int] = Counter()
        self._spoken: dict[str, Counter[tuple[int, int]]] = {}  # category -> (year, -1 | 0 | 1) -> reviews
        self._examples: dict[str, list[Markup]] = {}

    def add(self, row: dict[str, Any], timestamp: int, text: str, stars: float | None = None) -> None:
        """One review: its row, when it was written (ms), its text, and its stars where it has any."""
        if row["sentiment"] is None:
            return
        if stars is not None and not self._disliked_to < stars < self._liked_from:
            self._scored[0].append(row["sentiment"])
            self._scored[1].append(stars >= self._liked_from)
        year = datetime.fromtimestamp(timestamp / 1000, UTC).year
        self._read[year] += 1
        self._sentiment[year] += row["sentiment"]
        judged = Counter[str]()
        for aspect in row["aspects"]:
            judged[aspect["category"]] += aspect["polarity"]
            examples = self._examples.setdefault(aspect["category"], [])
            if len(examples) < _EXAMPLES and aspect["polarity"] and aspect["end"] <= _CHARS:
                examples.append(marked(text, aspect["start"], aspect["end"]))
        for category, polarity in judged.items():
            self._spoken.setdefault(category, Counter())[year, (polarity > 0) - (polarity < 0)] += 1

    def auc(self) -> tuple[float, int] | None:
        """How well sentiment tells likes from dislikes by stars (AUC), and of how many; None without both."""
        sentiment, liked = self._scored
        if len(set(liked)) < 2:
            return None
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(liked, sentiment)), len(liked)

    def html(self, facts: dict[str, Any]) -> str:
        """The page; `facts` of the run stand at its top."""
        years = sorted(self._read)
        ordered = sorted(self._spoken, key=lambda category: (-self._spoken[category].total(), category))
        rows = [
            (category, [self._cell(category, year) for year in years], self._examples[category]) for category in ordered
        ]
        tone = [self._sentiment[year] / self._read[year] for year in years]
        made = Environment(autoescape=True, loader=FileSystemLoader(Path(__file__).parent))
        return made.get_template(_TEMPLATE).render(
            auc=self.auc(), facts=facts, years=years, read=self._read, tone=tone, rows=rows
        )

    def _cell(self, category: str, year: int) -> tuple[float, float] | None:
        """(share of the year's reviews that speak of it, praise less blame of those), None where nobody does."""
        blamed, neither, praised = (self._spoken[category][year, sign] for sign in (-1, 0, 1))
        number = blamed + neither + praised
        return (number / self._read[year], (praised - blamed) / number) if number else None


def marked(text: str, start: int, end: int) -> Markup:
    """The beginning of a text with the words from `start` to `end` marked; addresses and numbers are held back."""
    before, words, behind = (hold_back(part) for part in (text[:start], text[start:end], text[end:_CHARS]))
    return escape(before) + Markup("<mark>") + escape(words) + Markup("</mark>") + escape(behind)
