"""Figures and verdicts in words: how the report, the model card and `jobs.compare` write them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from llmrec.evaluation.records.estimates import Comparison, Estimate, lower_is_better
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.records.tables import LabelTable, Protocol
from llmrec.variants import WITH_AND_WITHOUT

MINUS = "\N{MINUS SIGN}"
NBSP = "\N{NO-BREAK SPACE}"

_METRIC_TITLES = {
    "ndcg": "NDCG", "mrr": "MRR", "map": "MAP", "auc": "AUC", "gauc": "GAUC", "ece": "ECE", "rmse": "RMSE",
    "mae": "MAE", "f1": "F1", "recall_min": "Recall (min)",
    "diversity_text": "Diversity (text)", "diversity_cooccurrence": "Diversity (co-occurrence)",
}  # fmt: skip

#: What each metric is, with its denominator; the report explains the ones it shows.
GLOSSARY = {
    "ndcg": "Hits weighted by 1 / log2(1 + rank), over the best weight that the query's relevant items could reach.",
    "hit_rate": "Share of queries with a relevant item among the first k.",
    "recall": "Relevant items among the first k, over all the query's relevant items.",
    "recall_min": "Relevant items among the first k, over min(k, the query's relevant items).",
    "precision": "Relevant items among the first k, over k.",
    "mrr": "1 / rank of the first relevant item, 0 where it is not among the first k.",
    "map": "Mean of the precision at each relevant item, over min(k, the query's relevant items).",
    "coverage": "Share of the catalogue that is recommended to anybody.",
    "gini": "How unequally recommendations fall on items: 0 is evenly, 1 is all on one. Lower is more even.",
    "novelty": "Mean surprisal, -log2 of an item's share of past events. Higher is less popular.",
    "diversity_text": "Mean distance between the texts of the items in one list.",
    "diversity_cooccurrence": "Mean distance between items in one list, by who had both.",
    "auc": "Chance that a random positive scores above a random negative.",
    "gauc": "AUC within each user, weighted by the user's rows; users with one class only are left out.",
    "log_loss": "Mean negative log-likelihood of the label. Lower is better.",
    "ece": "Expected calibration error: mean gap between predicted and observed shares, by bin. Lower is better.",
    "accuracy": "Share of rows on the right side of the threshold.",
    "f1": "Harmonic mean of precision and recall at the threshold.",
    "rmse": "Root of the mean squared error, in stars. Lower is better.",
    "mae": "Mean absolute error, in stars. Lower is better.",
}

#: What a weight of each fusion is.
FUSIONS = {
    "weighted_sum": "A weighted sum: one weight a family, learned in training and the same for every example. It "
    "multiplies the family's projection.",
    "gated": "Gated: each example opens gates anew, from all families together, one for every number of a family's "
    "projection. A family's weight is its mean gate as a share of all families'.",
    "attention": "Attention: each example weighs the families anew, from their projections. The weight multiplies the "
    "family's projection.",
}  # fmt: skip


def two_digits(value: float) -> str:
    """Two significant digits without an exponent: 0.042, 3.1, 110."""
    return f"{float(f'{value:.2g}'):.10g}"


def metric_title(metric: str) -> str:
    """`ndcg@10` -> `NDCG@10`, `log_loss` -> `Log loss`, `diversity_text@10` -> `Diversity (text)@10`."""
    name, at, k = metric.partition("@")
    return _METRIC_TITLES.get(name, name.replace("_", " ").capitalize()) + at + k


def number(value: float, signed: bool = False) -> str:
    """Four decimals below 1, three below 100, then whole numbers; with a true minus sign."""
    decimals = 4 if abs(value) < 1 else 3 if abs(value) < 100 else 0
    return f"{value:{'+' if signed else ''}z,.{decimals}f}".replace("-", MINUS)


def percent(share: float, signed: bool = False) -> str:
    """0.132 -> `13.2 %`; two decimals below 1 %, none from 1,000 %. The space does not break."""
    size = abs(share)
    decimals = 0 if size >= 10 or size == 0 else 2 if size < 0.01 else 1
    return f"{100 * share:{'+' if signed else ''}z,.{decimals}f}{NBSP}%".replace("-", MINUS)


def round_percent(share: float) -> str:
    """0.95 -> `95 %`: for shares that are round, such as ticks and confidence levels."""
    return f"{100 * share:.6g}{NBSP}%".replace("-", MINUS)


def interval(estimate: Estimate, as_percent: bool = False, signed: bool = False) -> str:
    """`[0.047, 0.066]`, or nothing where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    write = percent if as_percent else number
    return f"[{write(estimate.low, signed)},{NBSP}{write(estimate.high, signed)}]"


def effect(comparison: Comparison, with_metric: bool = False) -> str:
    """`+13.2 % NDCG@10 [+4.1 %, +22.6 %]`: as a ratio where there is one, else as a difference."""
    shown, as_percent = (comparison.ratio, True) if comparison.ratio else (comparison.difference, False)
    value = percent(shown.value, signed=True) if as_percent else number(shown.value, signed=True)
    metric = metric_title(comparison.metric) if with_metric else ""
    return " ".join(part for part in (value, metric, interval(shown, as_percent, signed=True)) if part)


def count(value: float) -> str:
    """10261 -> `10,261`."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"


def date(milliseconds: int) -> str:
    """ms UTC -> `2014-03-01`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d")


def moment(milliseconds: int) -> str:
    """ms UTC -> `2014-03-01 09:30 UTC`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def p_value(p: float) -> str:
    """`0.012`, and `< 0.001` below that."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def duration(seconds: float) -> str:
    """75.2 -> `1 min 15 s`."""
    if seconds < 10:
        return f"{two_digits(seconds)} s"
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{hours} h"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0) + [f"{left} s"] * (left > 0 and not hours)
    return " ".join(parts)


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


_LEADS = {
    "better": ("better", "Better", "The text was worth"),
    "worse": ("worse", "Worse", "The text did harm:"),
    "cannot tell": ("unknown", "Cannot tell", "Cannot tell whether the text helped:"),
}


def verdict(results: Results) -> VerdictText:
    """What the text was worth, said plainly; also where the run cannot tell or did not ask."""
    head = results.headline
    if head is None:
        return VerdictText("absent", "Not asked", "This run did not compare the same model with and without the text.")
    compared = head.comparison
    tone, word, lead = _LEADS[compared.verdict]
    return VerdictText(
        tone, word, lead, effect(compared, with_metric=True),
        f" on {results.portrait.name}{_cost(head.encoder_seconds_per_1000)}.",
        tuple(d for d in (_power(compared), beside_baseline(results)) if d),
    )  # fmt: skip


def of_the_text(table: LabelTable) -> VerdictText | None:
    """What the text was worth for a label: `text` against `no_text` on the same rows, in the table's first metric."""
    pair = next((c for c in table.comparisons if (c.model, c.against) == WITH_AND_WITHOUT), None)
    if pair is None:
        return None
    tone, word, lead = _LEADS[pair.verdict]
    found = pair.difference  # half of an AUC is chance: a ratio would say little
    figure = f"{number(found.value, signed=True)} {metric_title(pair.metric)} {interval(found, signed=True)}"
    return VerdictText(tone, word, lead, figure.strip(), " on these rows.")


def _cost(seconds: float | None) -> str:
    return "" if seconds is None else f", at {two_digits(seconds)} encoder-seconds per 1,000 reviews"


def _power(comparison: Comparison) -> str:
    """Why an interval that spans zero is not proof of no effect."""
    size = comparison.smallest_detectable
    if size is None:
        return ""
    text = f"The smallest true difference that this test finds four times in five is {number(size)}"
    if comparison.verdict == "cannot tell":
        return f"{text}; a smaller gain may be there unseen, and more queries would show it."
    return f"{text}."


def beside_baseline(results: Results) -> str:
    """How the headline's model stands beside the best baseline of its table, or nothing without one."""
    head = results.headline
    table = results.table(head.protocol) if head else None
    if head is None or table is None:
        return ""
    metric = head.comparison.metric
    rivals = [m for m in table.models if m.kind == "baseline" and metric in m.metrics]
    ours = table.model(head.comparison.model)
    if not rivals or ours is None or metric not in ours.metrics:
        return ""
    sign = -1 if lower_is_better(metric) else 1
    best = max(rivals, key=lambda m: sign * m.metrics[metric].value)
    figures = f"{number(ours.metrics[metric].value)} against {number(best.metrics[metric].value)} of {best.title}"
    paired = [c for c in table.comparisons if (c.model, c.against, c.metric) == (ours.name, best.name, metric)]
    tail = f": {paired[0].verdict}, {effect(paired[0])}" if paired else " (not compared in pairs)"
    return f"Beside the best baseline, {figures}{tail}."


def missed(protocol: Protocol) -> str:
    """How many targets no list could hold, or nothing where they were not counted."""
    if protocol.n_missed is None:
        return ""
    share = f" ({percent(protocol.n_missed / protocol.n_queries)})" if protocol.n_queries else ""
    return f"{count(protocol.n_missed)}{share}"
