"""The tables of an evaluation on the console."""

from rich.console import Console
from rich.table import Table

from llmrec.evaluation.records.estimates import Estimate, goodness
from llmrec.evaluation.records.families import FamilyStudy
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.records.tables import LabelTable, Protocol, ResultTable
from llmrec.evaluation.report.verdict import how_to_read, known_truth, survivors, takes, where_it_helps, word

_LABELS = ("auc", "gauc", "log_loss", "rmse", "mae")


def show(results: Results, console: Console | None = None) -> None:
    """Print a table a protocol and label, then the verdict."""
    console = console or Console()
    if not console.is_terminal:  # a log: rich would assume 80 columns and squeeze the models' names away
        console = Console(file=console.file, width=140)
    for table in results.tables():
        console.print(_rich(table, results))
    for study in results.families[:1]:
        console.print(_families(study))
    if warned := survivors(results):
        console.print(f"warning: {warned}", soft_wrap=True)
    for line in (*how_to_read(results), where_it_helps(results)):
        if line:
            console.print(line, soft_wrap=True, highlight=False)
    if known := known_truth(results):
        console.print(known, soft_wrap=True)
    if results.headline:
        c = results.headline.comparison
        if c.smallest_detectable is not None:
            said = f"smallest detectable difference, {c.metric}: ±{c.smallest_detectable:.4f}"
            console.print(f"{said}. {takes(results.headline)}".strip(), soft_wrap=True)
        ratio = f" ({c.ratio.value:+.1%})" if c.ratio else ""
        difference = _figure(c.difference, signed=True) + ratio
        console.print(f"{c.model} against {c.against}, {c.metric}: {difference}: {word(c)}", soft_wrap=True)


def _rich(table: ResultTable, results: Results) -> Table:
    rows = f"{table.n_queries} queries" if isinstance(table, Protocol) else ""
    rows = f"{table.n_rows} rows" if isinstance(table, LabelTable) else rows
    title = f"{table.name} ({table.information_set.replace('_', '-')}, {rows})"
    found = Table(title=title, title_justify="left", caption=table.description, caption_justify="left")
    metrics = _metrics(table, results.run.primary_metric)
    found.add_column("model", no_wrap=True)
    for metric in metrics:
        found.add_column(metric, justify="right", no_wrap=True)
    for model in table.models:
        figures = (_figure(model.metrics.get(m), interval=m == metrics[0]) for m in metrics)
        found.add_row(model.title, *figures)
    return found


def _families(study: FamilyStudy) -> Table:
    """Each family's worth, the largest first."""
    full = _figure(study.full)
    found = Table(title=f"feature families ({study.model}, {study.table})", title_justify="left",
                      caption=f"{study.metric} of all families together: {full}", caption_justify="left")  # fmt: skip
    for title in ("family", "columns", f"{study.metric} alone", "lost without it"):
        found.add_column(title, justify="left" if title == "family" else "right", no_wrap=True)
    worth = {f.family: goodness(study.metric, f.contribution.value) for f in study.families if f.contribution}
    for f in sorted(study.families, key=lambda f: -worth.get(f.family, 0.0)):
        alone, contribution = _figure(f.alone, interval=False), _figure(f.contribution, signed=True)
        found.add_row(f.family, str(f.n_columns), alone, contribution)
    return found


def _metrics(table: ResultTable, primary: str) -> list[str]:
    known = {m for model in table.models for m in model.metrics}
    if isinstance(table, LabelTable):
        return [m for m in _LABELS if m in known]
    cutoffs = sorted({int(m.split("@")[1]) for m in known if m.startswith("recall@")})
    wanted = [primary, *(f"{name}@{k}" for k in cutoffs for name in ("recall", "ndcg", "mrr"))]
    return [m for m in dict.fromkeys(wanted) if m in known]


def _figure(estimate: Estimate | None, *, signed: bool = False, interval: bool = True) -> str:
    if estimate is None:
        return "–"
    value = f"{estimate.value:+.4f}" if signed else f"{estimate.value:.4f}"
    if not interval or estimate.low is None or estimate.high is None:
        return value
    return f"{value} [{estimate.low:.3f}, {estimate.high:.3f}]"
