"""The table of what words were worth, in Markdown, and its place on a page."""

from collections.abc import Sequence

from llmrec.evaluation.compare.worth import WorthRow
from llmrec.evaluation.report.format import count, date, interval, number, percent
from llmrec.evaluation.report.glossary import metric_title

#: The table stands between these two lines of a page.
BEGIN, END = "<!-- worth: begin, made by python -m jobs.worth -->", "<!-- worth: end -->"
_HEAD = (
    "run", "corpus", "queries · seeds", "metric", "without text", "with text", "text is worth", "verdict",
    "best baseline", "clicks, AUC", "clicks, accuracy", "read with",
)  # fmt: skip


def markdown(rows: Sequence[WorthRow]) -> str:
    """The table, real corpora first."""
    ordered = sorted(rows, key=lambda row: row.kind == "generated")
    lines = [_HEAD, ("---",) * len(_HEAD), *map(_cells, ordered)]
    return "\n".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in cells)} |" for cells in lines)


def _cells(row: WorthRow) -> tuple[str, ...]:
    worth = f"{number(row.difference.value, signed=True)} {interval(row.difference, signed=True)}"
    ratio = "" if row.ratio is None else f", {percent(row.ratio.value, signed=True)}"
    rival = "" if row.baseline_value is None else f"{row.baseline} {number(row.baseline_value)}"
    corpus = f"{row.corpus}, {count(row.n_reviews)} reviews" + (", generated" if row.kind == "generated" else "")
    made = "" if row.created is None else f", {date(row.created)}"
    return (
        f"`{row.run}`{made}", corpus, f"{count(row.queries or 0)} · {row.seeds}",
        f"{metric_title(row.metric)}, `{row.protocol}`", number(row.without), number(row.with_text), f"{worth}{ratio}",
        f"**{row.verdict}**", rival, _pair(row.auc), _points(row.accuracy), _read_with(row),
    )  # fmt: skip


def _pair(found: tuple[float, float] | None) -> str:
    return "" if found is None else f"{number(found[0])} → {number(found[1])}"


def _points(found: tuple[float, float] | None) -> str:
    """In points of a hundred, as claims are made."""
    return "" if found is None else f"{100 * (found[1] - found[0]):+.1f} points".replace("-", "\N{MINUS SIGN}")


def _read_with(row: WorthRow) -> str:
    said = []
    if row.truth is not None:
        said.append(f"known by construction: {number(row.truth, signed=True)}")
    if row.not_born_later is not None:
        found = row.not_born_later
        said.append(f"cored; items known at T2: {number(found.value, signed=True)} {interval(found, signed=True)}")
    return "; ".join([*said, *([] if row.seeds > 1 else ["training noise unknown"])])


def with_table(page: str, table: str) -> str:
    """The page with its table replaced. Raises ValueError where the two marks are not there, in order."""
    start, end = page.find(BEGIN), page.find(END)
    if start < 0 or end < start:
        raise ValueError(f"found no place for the table; expected a line {BEGIN!r} and, below it, {END!r}")
    return f"{page[: start + len(BEGIN)]}\n{table}\n{page[end:]}"
