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

from llmrec.evaluation.report import format as words
from llmrec.evaluation.report import plots, sections, views
from llmrec.evaluation.report.schema import Results
from llmrec.evaluation.report.weights_view import weights_view
from llmrec.files import write_bytes

RESULTS = "results.json"
HTML = "report.html"
MODEL_CARD = "model_card.md"


def write_report(folder: str, results: Results) -> None:
    """Write `results.json`, `report.html` and `model_card.md` into `folder` (a path or URI)."""
    write_bytes(f"{folder}/{RESULTS}", results.to_json().encode())
    write_bytes(f"{folder}/{HTML}", render_html(results).encode())
    write_bytes(f"{folder}/{MODEL_CARD}", render_model_card(results).encode())


def render_html(results: Results) -> str:
    """The report, one HTML document."""
    primary = results.run.primary_metric
    protocols = sorted(results.protocols, key=lambda p: p.information_set == "transductive")
    tables = views.with_ids(
        [views.protocol_view(p, primary) for p in protocols] + [views.label_view(t) for t in results.labels]
    )
    context = {
        "results": results, "verdict": words.verdict(results), "css": _css(),
        "headline_forest": sections.headline_forest(results), "headline_facts": sections.headline_facts(results),
        "protocols": tables[: len(protocols)], "labels": tables[len(protocols) :],
        "families": [sections.family_view(f, results) for f in results.families],
        "weights": weights_view(results),
        "controls": sections.control_view(results), "curves": sections.curve_charts(results),
        "corpus_facts": sections.corpus_facts(results), "corpus_bars": sections.corpus_bars(results),
        "leaks": sections.leak_views(results), "stage_bars": sections.stage_bars(results),
        "run_facts": sections.run_facts(results), "glossary": sections.glossary(results),
        "config_text": _yaml(results.run.config),
    }  # fmt: skip
    context["sections"] = _sections(context)
    return _environment().get_template("report.html.j2").render(context)


def render_model_card(results: Results) -> str:
    """The model card, Markdown with YAML front matter as model hubs read it."""
    primary = results.run.primary_metric
    tables = [(t, views.ranked(t.models, primary), views.columns(t, primary)[:4]) for t in results.tables() if t.models]
    context = {"results": results, "verdict": words.verdict(results), "tables": tables}
    return _environment().get_template("model_card.md.j2").render(context)


def _sections(context: dict[str, Any]) -> list[dict[str, str]]:
    """The navigation: only sections that the page has."""
    found = [("verdict", "Verdict")] + [(v.id, v.title) for v in [*context["protocols"], *context["labels"]]]
    optional = (
        ("families", "Features", context["families"] or context["weights"]),
        ("controls", "Controls", context["controls"]), ("leak", "Leak gap", context["leaks"]),
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
    )
    environment.filters.update(
        number=words.number, percent=words.percent, interval=words.interval, count=words.count, date=words.date,
        duration=words.duration, metric=words.metric_title, tone=plots.VERDICT_TONES.__getitem__, setting=_setting,
        md=_markdown, p_value=words.p_value, code=_code, round_percent=words.round_percent,
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
