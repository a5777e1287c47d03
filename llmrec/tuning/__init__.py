"""Tuning: an encoder that learns from the corpus before T1. See `docs/tuning.md`."""

from llmrec.tuning.stage import tune, with_encoder

__all__ = ["tune", "with_encoder"]
