"""What the report states in pairs of a name and a figure."""

from collections.abc import Callable
from typing import Any

from llmrec.evaluation.records.results import Results
from llmrec.evaluation.records.tables import LabelTable, Protocol
from llmrec.evaluation.report.format import count, date, duration, number, p_value, percent, two_digits
from llmrec.evaluation.report.glossary import metric_title

Facts = list[tuple[str, str]]


def headline_facts(results: Results) -> Facts:
    """Both figures of the headline, and how sure their difference is."""
    head = results.headline
    if head is None:
        return []
    compared, table = head.comparison, results.table(head.protocol)
    assert table is not None
    metric = metric_title(compared.metric)
    return _present(
        (f"{metric}, with text", number, table.value(compared.model, compared.metric)),
        (f"{metric}, without text", number, table.value(compared.against, compared.metric)),
        ("Adjusted p", p_value, compared.p_adjusted),
        ("Smallest detectable", number, compared.smallest_detectable),
        ("Encoder, per 1,000 reviews", lambda s: f"{two_digits(s)} s", head.encoder_seconds_per_1000),
    )


def _present(*facts: tuple[str, Callable[[Any], str], Any]) -> Facts:
    """(name, how its value is written, the value): those that have one."""
    return [(name, write(value)) for name, write, value in facts if value is not None and value != ""]


def corpus_facts(results: Results) -> Facts:
    """The portrait, as far as it was taken."""
    p = results.portrait
    dated = p.first is not None and p.last is not None
    return _present(
        ("Reviews", count, p.n_reviews), ("Users", count, p.n_users), ("Items", count, p.n_items),
        ("First review", date, p.first if dated else None), ("Last review", date, p.last if dated else None),
        ("Reviews a user, median", count, p.median_per_user), ("Reviews an item, median", count, p.median_per_item),
        ("Empty texts", count, p.empty_texts), ("Duplicates", count, p.duplicates),
        ("Users whose last events tie", count, p.tied_users),
        ("Rows quarantined", count, None if p.quarantined is None else sum(p.quarantined.values())),
        ("Sparsity", percent, p.sparsity), ("Events that tie in time", percent, p.tied_share),
        ("Tokens unknown to the encoder", percent, p.unknown_token_share), ("Encoder", str, p.encoder),
    )  # fmt: skip


def run_facts(results: Results) -> Facts:
    """Where, with what and for how long."""
    run = results.run
    return _present(
        ("Machine", str, run.machine), ("Size", str, run.size), ("Seeds", str, ", ".join(map(str, run.seeds))),
        ("Code version", str, run.code_version), ("Corpus", str, run.corpus_id), ("Bundle", str, run.bundle_id),
        ("Took", duration, run.seconds),
    )  # fmt: skip


def protocol_facts(protocol: Protocol) -> Facts:
    """Sizes and cut-offs."""
    return _present(
        ("Queries", count, protocol.n_queries), ("Users", count, protocol.n_users),
        ("Items to choose from", count, protocol.n_items),
        ("Targets outside the candidates", lambda n: _missed(n, protocol.n_queries), protocol.n_missed),
        ("T1", date, protocol.t1), ("T2", date, protocol.t2),
    )  # fmt: skip


def _missed(n: int, n_queries: int) -> str:
    """How many targets no list could hold."""
    return count(n) + (f" ({percent(n / n_queries)})" if n_queries else "")


def protocol_words(protocol: Protocol) -> Facts:
    """What may be seen, in words."""
    return _present(("History", str, protocol.history), ("Fitted", str, protocol.refit),
                    ("Candidates", str, protocol.candidates))  # fmt: skip


def label_facts(table: LabelTable) -> Facts:
    """Sizes of a table of labels."""
    return _present(
        ("Rows", count, table.n_rows), ("Users", count, table.n_users), ("Positives", percent, table.positive_share),
        ("Threshold", number, table.threshold),
    )  # fmt: skip
