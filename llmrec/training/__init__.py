"""Fitting the two models: plain torch steps and epochs; Ray Train runs them in `distributed.py`."""

from llmrec.training.stage import train

__all__ = ["train"]
