"""A comparison in words."""

from dataclasses import dataclass

from llmrec.evaluation.records.estimates import Comparison
from llmrec.evaluation.report.format import interval, number, percent, told_ratio
from llmrec.evaluation.report.glossary import metric_title

#: Verdict -> its name, and how a sentence on the worth of the text begins.
LEADS = {
    "better": ("Better", "The text was worth"),
    "worse": ("Worse", "The text did harm:"),
    "no difference": ("No difference that matters", "The text changed little:"),
    "cannot tell": ("Cannot tell", "Cannot tell whether the text helped:"),
}


def effect(comparison: Comparison, with_metric: bool = False) -> str:
    """`+13.2 % NDCG@10 [+4.1 %, +22.6 %]`; without a ratio that is told, the difference and the bare ratio."""
    ratio, metric = told_ratio(comparison), metric_title(comparison.metric) if with_metric else ""
    shown = ratio or comparison.difference
    value = percent(shown.value, signed=True) if ratio else number(shown.value, signed=True)
    beside = comparison.ratio if not ratio else None
    share = f"({percent(beside.value, signed=True)})" if beside else ""
    return " ".join(part for part in (value, metric, interval(shown, bool(ratio), signed=True), share) if part)


def word(comparison: Comparison) -> str:
    """The verdict in a few words."""
    if comparison.verdict == "no difference" and comparison.margin is not None:
        return f"no difference larger than {number(comparison.margin)}"
    return f"{comparison.verdict} (a hint)" if comparison.closed else comparison.verdict


@dataclass(frozen=True)
class VerdictText:
    """The answer in words: `lead` + `figure` + `tail` is one sentence; `tone` is better | worse | unknown | absent."""

    tone: str
    word: str
    lead: str
    figure: str = ""
    tail: str = ""
    details: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        return " ".join(part for part in (self.lead, self.figure) if part) + self.tail
