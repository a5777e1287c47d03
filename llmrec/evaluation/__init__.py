"""Full ranking under an honest clock: protocols, metrics, baselines, intervals, and the report."""

from llmrec.evaluation.stage import evaluate

__all__ = ["evaluate"]
