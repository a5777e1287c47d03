"""Fitting the models of a bundle: networks on Ray Train, others in a task each."""

from llmrec.training.stage import train

__all__ = ["train"]
