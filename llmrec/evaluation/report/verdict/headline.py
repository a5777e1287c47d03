"""The verdict in words: what the text was worth, said plainly, and how our model stands beside the best baseline."""

from llmrec.evaluation.records.estimates import Comparison, goodness
from llmrec.evaluation.records.results import Headline, Results
from llmrec.evaluation.records.tables import LabelTable
from llmrec.evaluation.report.figures.forest import TONES
from llmrec.evaluation.report.format import count, interval, number, percent, two_digits
from llmrec.evaluation.report.glossary import metric_title
from llmrec.evaluation.report.verdict.corpus import known_truth, survivors
from llmrec.evaluation.report.verdict.where import strongest, where_it_helps
from llmrec.evaluation.report.verdict.words import LEADS, VerdictText, effect
from llmrec.variants import WITH_AND_WITHOUT


def verdict(results: Results) -> VerdictText:
    """What the text was worth, said plainly; also where the run cannot tell or did not ask."""
    head = results.headline
    if head is None:
        return VerdictText("absent", "Not asked", "This run did not compare the same model with and without the text.")
    compared = head.comparison
    word, lead = LEADS[compared.verdict]
    return VerdictText(
        TONES[compared.verdict], word, lead, effect(compared, with_metric=True),
        f" on {results.portrait.name}{strongest(results)}{_cost(head.encoder_seconds_per_1000)}.",
        tuple(d for d in _details(results, head) if d),
    )  # fmt: skip


def _details(results: Results, head: Headline) -> tuple[str, ...]:
    compared = head.comparison
    return (
        where_it_helps(results), _power(compared), _margin(compared), takes(head), known_truth(results),
        survivors(results), beside_baseline(results),
    )  # fmt: skip


def of_the_text(table: LabelTable) -> VerdictText | None:
    """What the text was worth for a label: `text` against `no_text` on the same rows, in the table's first metric."""
    pair = next((c for c in table.comparisons if (c.model, c.against) == WITH_AND_WITHOUT), None)
    if pair is None:
        return None
    word, lead = LEADS[pair.verdict]
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
