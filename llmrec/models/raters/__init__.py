"""Predictions of stars and likes, by name in `llmrec.catalogue`."""
