"""Fitting the models of a bundle: networks on Ray Train, others in a task each."""

from llmrec.training.go_on import go_on
from llmrec.training.stage import train

__all__ = ["go_on", "train"]
