"""Render `Results` as one self-contained HTML page, as JSON and as a model card in Markdown.

The page holds no script and asks for nothing: style and figures are inline, and its content security policy forbids
the rest. All text from the corpus is escaped.
"""

import json
import re
from functools import cache
from typing import Any

import jinja2
import yaml

from llmrec.evaluation.records.results import RESULTS, Results
from llmrec.evaluation.report import facts, format, sections, verdict
from llmrec.evaluation.report.columns import columns
from llmrec.evaluation.report.families import family_view
from llmrec.evaluation.report.figures.bars import corpus_bars, stage_bars
from llmrec.evaluation.report.figures.forest import TONES
from llmrec.evaluation.report.glossary import explained, metric_title
from llmrec.evaluation.report.tables import ranked, table_views
from llmrec.evaluation.report.tuned import tuned_view
from llmrec.evaluation.report.weights import weights_view
from llmrec.files import write_bytes

HTML = "report.html"
MODEL_CARD = "model_card.md"


def write_report(folder: str, results: Results) -> None:
    """Write `results.json`, `report.html` and `model_card.md` into `folder` (a path or URI)."""
    write_bytes(f"{folder}/{RESULTS}", results.to_json().encode())
    write_bytes(f"{folder}/{HTML}", render_html(results).encode())
    write_bytes(f"{folder}/{MODEL_CARD}", render_model_card(results).encode())


def render_html(results: Results) -> str:
    """The report, one HTML document."""
    protocols, labels = table_views(results)
    shown = (metric for t in results.tables() for m in t.models for metric in m.metrics)
    context = {
        "results": results, "verdict": verdict.verdict(results), "css": _css(),
        "reading": verdict.how_to_read(results),
        "headline_forest": sections.headline_forest(results), "headline_facts": facts.headline_facts(results),
        "protocols": protocols, "labels": labels, "families": [family_view(f, results) for f in results.families],
        "weights": weights_view(results), "controls": sections.control_view(results),
        "curves": sections.curve_charts(results), "leaks": sections.leak_rows(results),
        "corpus_facts": facts.corpus_facts(results), "corpus_bars": corpus_bars(results),
        "stage_bars": stage_bars(results), "run_facts": facts.run_facts(results), "glossary": explained(shown),
        "tuned": tuned_view(results), "config_text": _yaml(results.run.config),
    }  # fmt: skip
    context["sections"] = _sections(context)
    return _environment().get_template("report.html.j2").render(context)


def render_model_card(results: Results) -> str:
    """The model card, Markdown with YAML front matter as model hubs read it."""
    primary = results.run.primary_metric
    tables = [(t, ranked(t.models, primary), columns(t, primary)[:4]) for t in results.tables() if t.models]
    context = {"results": results, "verdict": verdict.verdict(results), "tables": tables}
    return _environment().get_template("model_card.md.j2").render(context)


def _sections(context: dict[str, Any]) -> list[dict[str, str]]:
    """The navigation: only sections that the page has."""
    found = [("verdict", "Verdict")] + [(v.id, v.title) for v in [*context["protocols"], *context["labels"]]]
    optional = (
        ("families", "Features", context["families"] or context["weights"]),
        ("controls", "Controls", context["results"].controls),
        ("tuning", "Tuning", context["tuned"]), ("leak", "Leak gap", context["leaks"]),
        ("training", "Training", context["curves"]),
    )  # fmt: skip
    found += [(anchor, title) for anchor, title, present in optional if present]
    found += [("corpus", "Corpus"), ("reproduce", "Do it again"), ("reading", "How to read this")]
    return [{"id": anchor, "title": title} for anchor, title in found]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("llmrec.evaluation.report", "templates"),
        autoescape=lambda name: not (name or "").endswith(".md.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        number=format.number, percent=format.percent, interval=format.interval, count=format.count, date=format.date,
        duration=format.duration, metric=metric_title, tone=TONES.__getitem__, said=verdict.word,
        more=verdict.said, setting=_setting,
        md=_markdown, p_value=format.p_value, code=_code, round_percent=format.round_percent,
    )  # fmt: skip
    return environment


@cache
def _css() -> Any:
    from markupsafe import Markup

    source, *_ = jinja2.PackageLoader("llmrec.evaluation.report", "templates").get_source(_environment(), "report.css")
    return Markup(source)  # ours, not the corpus's


def _setting(value: Any) -> str:
    """A setting as it would stand in YAML: 0.1, true, [128, 64]."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip() if value else ""


def _code(value: object) -> str:
    """`value` on one line, without the backticks that would end a code span."""
    return " ".join(str(value).split()).replace("`", "'")


def _markdown(value: object) -> str:
    """`value` on one line, with nothing that Markdown or HTML would take for markup."""
    line = " ".join(str(value).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#!~])", r"\\\1", line)
