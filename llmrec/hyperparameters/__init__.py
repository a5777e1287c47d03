"""Search for settings: trials on validation, within a stated budget."""

from llmrec.hyperparameters.stage import search

__all__ = ["search"]
