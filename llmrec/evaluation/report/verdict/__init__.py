"""The first screen in words: the verdict, where it holds, and how it reads."""

from llmrec.evaluation.report.verdict.corpus import known_truth, survivors
from llmrec.evaluation.report.verdict.headline import beside_baseline, of_the_text, takes, verdict
from llmrec.evaluation.report.verdict.reading import how_to_read
from llmrec.evaluation.report.verdict.where import said, where_it_helps
from llmrec.evaluation.report.verdict.words import VerdictText, effect, word

__all__ = [
    "VerdictText", "beside_baseline", "effect", "how_to_read", "known_truth", "of_the_text", "said", "survivors",
    "takes", "verdict", "where_it_helps", "word",
]  # fmt: skip
