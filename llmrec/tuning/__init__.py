"""Tuning: an encoder that learns from the corpus before T1. See `docs/tuning.md`."""

from llmrec.tuning.stage import find_refitted, find_tuned, refitted, tune, with_encoder, with_few_pairs

__all__ = ["find_refitted", "find_tuned", "refitted", "tune", "with_encoder", "with_few_pairs"]
