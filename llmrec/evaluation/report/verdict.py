"""The verdict in words: what the text was worth, said plainly, and how our model stands beside the best baseline."""

from dataclasses import dataclass

from llmrec.evaluation.records.estimates import Comparison, goodness
from llmrec.evaluation.records.results import Headline, Results
from llmrec.evaluation.records.tables import LabelTable, Slice
from llmrec.evaluation.report.figures.forest import TONES
from llmrec.evaluation.report.format import count, interval, number, percent, two_digits
from llmrec.evaluation.report.glossary import metric_title
from llmrec.variants import ORACLE, ORACLE_NO_TEXT, WITH_AND_WITHOUT


def effect(comparison: Comparison, with_metric: bool = False) -> str:
    """`+13.2 % NDCG@10 [+4.1 %, +22.6 %]`: as a ratio where there is one, else as a difference."""
    shown, as_percent = (comparison.ratio, True) if comparison.ratio else (comparison.difference, False)
    value = percent(shown.value, signed=True) if as_percent else number(shown.value, signed=True)
    metric = metric_title(comparison.metric) if with_metric else ""
    return " ".join(part for part in (value, metric, interval(shown, as_percent, signed=True)) if part)


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


#: What knows when an item was launched: families, and baselines.
LAUNCH_AWARE = ("item_age", "time_at_risk", "ease_united", "item_knn_united", "ials_united")
_LEADS = {
    "better": ("Better", "The text was worth"),
    "worse": ("Worse", "The text did harm:"),
    "no difference": ("No difference that matters", "The text changed little:"),
    "cannot tell": ("Cannot tell", "Cannot tell whether the text helped:"),
}


def verdict(results: Results) -> VerdictText:
    """What the text was worth, said plainly; also where the run cannot tell or did not ask."""
    head = results.headline
    if head is None:
        return VerdictText("absent", "Not asked", "This run did not compare the same model with and without the text.")
    compared = head.comparison
    word, lead = _LEADS[compared.verdict]
    return VerdictText(
        TONES[compared.verdict], word, lead, effect(compared, with_metric=True),
        f" on {results.portrait.name}{_cost(head.encoder_seconds_per_1000)}.",
        tuple(d for d in _details(results, head) if d),
    )  # fmt: skip


def _details(results: Results, head: Headline) -> tuple[str, ...]:
    compared = head.comparison
    return (
        _power(compared), _margin(compared), takes(head), known_truth(results), survivors(results),
        beside_baseline(results),
    )  # fmt: skip


def of_the_text(table: LabelTable) -> VerdictText | None:
    """What the text was worth for a label: `text` against `no_text` on the same rows, in the table's first metric."""
    pair = next((c for c in table.comparisons if (c.model, c.against) == WITH_AND_WITHOUT), None)
    if pair is None:
        return None
    word, lead = _LEADS[pair.verdict]
    found = pair.difference  # half of an AUC is chance: a ratio would say little
    figure = f"{number(found.value, signed=True)} {metric_title(pair.metric)} {interval(found, signed=True)}"
    return VerdictText(TONES[pair.verdict], word, lead, figure.strip(), " on these rows.")


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


def _margin(comparison: Comparison) -> str:
    if comparison.verdict != "no difference" or comparison.margin is None:
        return ""
    return f"No difference larger than {number(comparison.margin)} either way."


def takes(head: Headline) -> str:
    """What it takes to see the smallest gain that matters, and whether training noise is known."""
    e = head.effort
    if e is None:
        return ""
    periods = f"{e.origins} test period{'s' if e.origins > 1 else ''} like this one"
    said = f"To see {percent(e.detect, signed=True)} four times in five takes {count(e.queries)} queries"
    said += f" ({periods}), fitted with {e.seeds} seeds."
    return said if e.measured_seeds > 1 else f"{said} One training seed: nothing is claimed about training noise."


def known_truth(results: Results) -> str:
    """Of a generated corpus: the best that any list can do, and what the words are worth by construction."""
    head = results.headline
    table, metric = (results.table(head.protocol), head.comparison.metric) if head else (None, "")
    ceiling, wordless = (table.value(name, metric) if table else None for name in (ORACLE, ORACLE_NO_TEXT))
    if head is None or ceiling is None or wordless is None:
        return ""
    worth, found = ceiling - wordless, head.comparison.difference.value
    said = (f"Known by construction: the oracle, who knows all but the draw, reaches {number(ceiling)} "
            f"{metric_title(metric)}, and {number(wordless)} without the words, so that text is worth "
            f"{number(worth, signed=True)}; the models made {number(found, signed=True)} of it")  # fmt: skip
    return said + (f", {percent(found / worth)}." if worth > 0 else ".")


def survivors(results: Results) -> str:
    """That the corpus was cut with the future in view, what that decides, and the headline without it."""
    core = results.portrait.core
    if core is None or not core.cored:
        return ""
    said = (f"This corpus was cut with the future in view: no item has fewer than {core.least_item} events, no user "
            f"fewer than {core.least_user}. ")  # fmt: skip
    if core.born + core.owed:
        share, aware = percent(core.born_share + core.owed_share), ", ".join(LAUNCH_AWARE)
        said += (f"{count(core.born)} items first seen after T2 and {count(core.owed)} with fewer events by then were "
                 f"sure of theirs, and are {share} of the test: what knows an item's launch ({aware}) gains by that "
                 "here, and would not in a shop. ")  # fmt: skip
    return said + "".join(f"{s.level.capitalize()}: {said_of}. " for s, said_of in _parts(results)).strip()


def _parts(results: Results) -> list[tuple[Slice, str]]:
    """The headline's comparison on the parts of the test that the cut did not decide."""
    table = results.table(results.headline.protocol) if results.headline else None
    wanted = {("item at T2", "known by then"), ("core", "owed no event")}
    found = [s for s in table.slices if (s.by, s.level) in wanted and s.comparisons] if table else []
    return [(s, f"{effect(s.comparisons[0], with_metric=True)}, {word(s.comparisons[0])}") for s in found]


def beside_baseline(results: Results) -> str:
    """How the headline's model stands beside the best baseline of its table, or nothing without one."""
    if results.headline is None:
        return ""
    compared, table = results.headline.comparison, results.table(results.headline.protocol)
    assert table is not None
    metric, ours = compared.metric, table.value(compared.model, compared.metric)
    rivals = [m for m in table.models if m.kind == "baseline" and metric in m.metrics]
    if not rivals or ours is None:
        return ""
    best = max(rivals, key=lambda m: goodness(metric, m.metrics[metric].value))
    figures = f"{number(ours)} against {number(best.metrics[metric].value)} of {best.title}"
    paired = [c for c in table.comparisons if (c.model, c.against, c.metric) == (compared.model, best.name, metric)]
    tail = f": {paired[0].verdict}, {effect(paired[0])}" if paired else " (not compared in pairs)"
    return f"Beside the best baseline, {figures}{tail}."
