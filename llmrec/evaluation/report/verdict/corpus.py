"""What is known of the corpus that decides how a verdict reads: how it was generated, or cut."""

from llmrec.evaluation.records.results import Results
from llmrec.evaluation.records.tables import Slice
from llmrec.evaluation.report.format import count, number, percent
from llmrec.evaluation.report.glossary import metric_title
from llmrec.evaluation.report.verdict.words import effect, word
from llmrec.variants import ORACLE, ORACLE_NO_TEXT

#: What knows when an item was launched: families, and baselines.
LAUNCH_AWARE = ("item_age", "time_at_risk", "ease_united", "item_knn_united", "ials_united")


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
