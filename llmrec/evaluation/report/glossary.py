"""What tables and metrics are called, and what each metric is."""

from collections.abc import Iterable

from llmrec.evaluation.records.tables import LabelTable, ResultTable
from llmrec.names import RANKING_METRICS

_TABLE_TITLES = {
    "temporal": "Ranking, by the clock", "frozen": "Ranking, one list a user at T2",
    "rolling_origins": "Ranking, rolling origins", "leave_last_out": "Ranking, leave last out",
    "random": "Ranking, random split", "click": "Clicks", "like": "Likes", "stars": "Stars",
}  # fmt: skip
_METRIC_TITLES = {
    "ndcg": "NDCG", "mrr": "MRR", "map": "MAP", "auc": "AUC", "gauc": "GAUC", "ece": "ECE", "rmse": "RMSE",
    "mae": "MAE", "f1": "F1", "recall_min": "Recall (min)",
    "diversity_text": "Diversity (text)", "diversity_cooccurrence": "Diversity (co-occurrence)",
}  # fmt: skip

#: What each metric is, with its denominator; the report explains the ones it shows.
GLOSSARY = {
    **RANKING_METRICS,
    "coverage": "Share of the catalogue that is recommended to anybody.",
    "gini": "How unequally recommendations fall on items: 0 is evenly, 1 is all on one. Lower is more even.",
    "novelty": "Mean surprisal, -log2 of an item's share of past events. Higher is less popular.",
    "diversity_text": "Mean distance between the texts of the items in one list.",
    "diversity_cooccurrence": "Mean distance between items in one list, by who had both.",
    "auc": "Chance that a random positive scores above a random negative.",
    "gauc": "AUC within each user, weighted by the user's rows; users with one class only are left out.",
    "log_loss": "Mean negative log-likelihood of the label. Lower is better.",
    "ece": "Expected calibration error: mean gap between predicted and observed shares, by bin. Lower is better.",
    "accuracy": "Share of rows on the right side of the threshold.",
    "f1": "Harmonic mean of precision and recall at the threshold.",
    "rmse": "Root of the mean squared error, in the label's unit. Lower is better.",
    "mae": "Mean absolute error, in the label's unit. Lower is better.",
}


def metric_title(metric: str) -> str:
    """`ndcg@10` -> `NDCG@10`, `log_loss` -> `Log loss`, `diversity_text@10` -> `Diversity (text)@10`."""
    name, at, k = metric.partition("@")
    return _METRIC_TITLES.get(name, name.replace("_", " ").capitalize()) + at + k


def explained(metrics: Iterable[str]) -> list[tuple[str, str]]:
    """(title, meaning) of each metric once, whatever its cut-off."""
    names = dict.fromkeys(metric.split("@")[0] for metric in metrics)
    return [(metric_title(name), GLOSSARY[name]) for name in names if name in GLOSSARY]


def table_title(table: ResultTable) -> str:
    """What readers see: two tables of one label keep their own names."""
    if isinstance(table, LabelTable) and table.label == "outcome":
        return f"Outcome: {table.name.rpartition('/')[2].replace('_', ' ')}"
    if isinstance(table, LabelTable):
        return _TABLE_TITLES[table.label] if table.name in (table.label, f"{table.label}s") else table.name
    name, _, part = table.name.partition("/")  # rolling_origins/2
    return " ".join(p for p in (_TABLE_TITLES.get(name, f"Ranking, {name}"), part) if p)
