"""Bars drawn to the largest of their group."""

from collections.abc import Sequence

from llmrec.evaluation.records.results import Results
from llmrec.evaluation.report.format import count, duration, percent

#: A caption, and for each bar its label, width (percent of the longest) and figure.
Bars = tuple[str, list[tuple[str, float, str]]]


def corpus_bars(results: Results) -> list[Bars]:
    """Languages, stars and quarantined rows, as far as there are any."""
    p = results.portrait
    languages = sorted(p.languages.items(), key=lambda kv: -kv[1])[:8]
    groups = [
        ("Languages of the reviews", [(k, v, percent(v)) for k, v in languages]),
        ("Stars", [(k, float(v), count(v)) for k, v in sorted(p.stars.items(), key=lambda kv: float(kv[0]))]),
        ("Quarantined rows, by reason", [(k, float(v), count(v)) for k, v in sorted((p.quarantined or {}).items())]),
    ]
    return [_bars(caption, entries) for caption, entries in groups if entries]


def stage_bars(results: Results) -> Bars | None:
    """Where the time went."""
    entries = [(stage, seconds, duration(seconds)) for stage, seconds in results.run.stage_seconds.items()]
    return _bars("Time by stage", entries) if entries else None


def _bars(caption: str, entries: Sequence[tuple[str, float, str]]) -> Bars:
    """(label, size, text) drawn to the largest; codes read as words."""
    most = max(value for _, value, _ in entries) or 1.0
    return caption, [(label.replace("_", " "), round(100 * value / most, 2), text) for label, value, text in entries]
