"""What words were worth, a row a run: read from its `results.json`, and kept."""

import json
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from llmrec.evaluation.records.estimates import Estimate, ResultRecord, Verdict, goodness
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.records.tables import LabelTable, ResultTable
from llmrec.variants import NO_TEXT, ORACLE, ORACLE_NO_TEXT, TEXT, WITH_AND_WITHOUT


class WorthRow(ResultRecord):
    """One run's answer to the one question, with what it takes to read it."""

    run: str
    id: str = Field(description="of the report: a row with the same run and corpus takes its place")
    created: int | None = Field(None, description="ms UTC")
    corpus: str
    n_reviews: int
    encoder: str = ""
    protocol: str
    queries: int | None = None
    seeds: int = 1
    metric: str
    without: float
    with_text: float
    difference: Estimate
    ratio: Estimate | None = None
    verdict: Verdict
    baseline: str = ""
    baseline_value: float | None = None
    auc: tuple[float, float] | None = Field(None, description="of clicks, without text and with")
    accuracy: tuple[float, float] | None = None
    truth: float | None = Field(None, description="by construction, where the corpus is generated")
    not_born_later: Estimate | None = Field(None, description="of a cored corpus, without the items born after T2")
    kind: Literal["generated", "real"] = "real"


def worth_of(results: Results, report_id: str) -> WorthRow:
    """The row of a run. Raises ValueError where it did not set `text` against `no_text`."""
    head = results.headline
    table = results.table(head.protocol) if head else None
    if head is None or table is None:
        raise ValueError(f"run {results.run.name!r} has no headline: it did not fit {TEXT!r} and {NO_TEXT!r}")
    compared = head.comparison
    without, with_text = table.value(NO_TEXT, compared.metric), table.value(TEXT, compared.metric)
    assert without is not None and with_text is not None
    rivals = [m for m in table.models if m.kind == "baseline" and compared.metric in m.metrics]
    best = max(rivals, key=lambda m: goodness(compared.metric, m.metrics[compared.metric].value), default=None)
    clicks = next((t for t in results.labels if t.label == "click"), None)
    oracles = [table.value(name, compared.metric) for name in (ORACLE, ORACLE_NO_TEXT)]
    truth = None if oracles[0] is None or oracles[1] is None else oracles[0] - oracles[1]
    run, portrait = results.run, results.portrait
    return WorthRow(
        run=run.name, id=report_id, created=run.created, corpus=portrait.name, n_reviews=portrait.n_reviews,
        encoder=portrait.encoder, protocol=table.name, queries=getattr(table, "n_queries", None),
        seeds=max(len(run.seeds), 1), metric=compared.metric, without=without, with_text=with_text,
        difference=compared.difference, ratio=compared.ratio, verdict=compared.verdict,
        baseline=best.title if best else "", baseline_value=best.metrics[compared.metric].value if best else None,
        auc=_both(clicks, "auc"), accuracy=_both(clicks, "accuracy"), truth=truth,
        not_born_later=_known_at_t2(results, table), kind="real" if truth is None else "generated",
    )  # fmt: skip


def _both(table: LabelTable | None, metric: str) -> tuple[float, float] | None:
    found = [table.value(name, metric) for name in reversed(WITH_AND_WITHOUT)] if table else [None, None]
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def _known_at_t2(results: Results, table: ResultTable) -> Estimate | None:
    """What is left of the headline on a cored corpus without the items that were born after T2."""
    core = results.portrait.core
    part = next((s for s in table.slices if (s.by, s.level) == ("item at T2", "known by then")), None)
    if core is None or not core.cored or part is None or not part.comparisons:
        return None
    return part.comparisons[0].difference


def parse_rows(text: str) -> list[WorthRow]:
    """Of a file with a JSON object a line."""
    return [WorthRow.model_validate(json.loads(line)) for line in text.splitlines() if line.strip()]


def written(rows: Iterable[WorthRow]) -> str:
    """The file that `parse_rows` reads."""
    return "".join(row.model_dump_json(exclude_none=True) + "\n" for row in rows)


def joined(rows: Sequence[WorthRow], new: Sequence[WorthRow]) -> list[WorthRow]:
    """The rows with the new ones; of a run on the same corpus the newer stays, in its old place."""
    found = {(row.run, row.corpus, row.protocol): row for row in rows}
    return list((found | {(row.run, row.corpus, row.protocol): row for row in new}).values())
