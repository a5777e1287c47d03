"""What decides how the figures read, beside the verdict: who had no history, what no list can hold, what was ranked."""

from llmrec.evaluation.records.estimates import goodness
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.records.tables import Protocol, Sensitivity
from llmrec.evaluation.report.format import count, number, percent
from llmrec.evaluation.report.glossary import metric_title, table_title


def how_to_read(results: Results) -> list[str]:
    """Sentences for the first screen and the console; none where nothing is known."""
    head = results.headline
    table = results.table(head.protocol) if head else next(iter(results.protocols), None)
    found = []
    if isinstance(table, Protocol):
        found = [_without_history(table), _missed(table), _ranked(table), _decay(table, results.run.primary_metric)]
    return [s for s in (*found, _without_ours(results)) if s]


def _without_history(table: Protocol) -> str:
    part = next((s for s in table.slices if (s.by, s.level) == ("history length", "0")), None)
    if not table.slices or not table.n_queries:
        return ""
    n = part.n if part else 0
    said = f"{percent(n / table.n_queries)} of the {count(table.n_queries)} queries come from users without a history"
    return f"{said}: there every model can only answer with what is popular." if n else f"{said}."


def _missed(table: Protocol) -> str:
    if not table.n_missed or not table.n_queries:
        return ""
    return (f"{percent(table.n_missed / table.n_queries)} of the targets are out of reach: items not known before the "
            "query, or had already. No list can hold them, and they count as missed.")  # fmt: skip


def _ranked(table: Protocol) -> str:
    if table.n_ranked is None or not table.n_items or not any(m.kind == "ours" for m in table.models):
        return ""
    if table.n_ranked >= table.n_items:
        return f"All {count(table.n_items)} items are ranked for every query."
    return (f"Of {count(table.n_items)} items, retrieval hands {count(table.n_ranked)} to our ranker for each query; "
            "baselines rank all.")  # fmt: skip


def _decay(table: Protocol, metric: str) -> str:
    """What another decay of recent popularity would have reached: one that validation chose may be past its time."""
    model = next((m for m in table.models if m.sensitivity), None)
    if model is None:
        return ""
    best = max(model.sensitivity, key=lambda s: goodness(metric, s.test))
    chosen = next((s for s in model.sensitivity if s.settings == model.settings), None)
    if chosen is None:
        return ""
    said = (f"{model.title} with what validation chose ({_settings(chosen)}) reaches {number(chosen.test)} "
            f"{metric_title(metric)}")  # fmt: skip
    n = count(len(model.sensitivity))
    if best.settings == chosen.settings:
        return f"{said}, and no other of {n} settings more."
    return f"{said}; the best of {n} settings on the test ({_settings(best)}) {number(best.test)}."


def _settings(tried: Sensitivity) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in tried.settings.items()
                     if isinstance(value, int | float))  # fmt: skip


def _without_ours(results: Results) -> str:
    names = [table_title(p) for p in results.protocols if p.models and not any(m.kind == "ours" for m in p.models)]
    if not names:
        return ""
    return (f"{'; '.join(names)}: none of our models is in {'this table' if len(names) == 1 else 'these tables'}, for "
            "they are fitted by the clock and published tables are not.")  # fmt: skip
