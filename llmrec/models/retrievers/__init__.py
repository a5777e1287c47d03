"""Models that bring candidates, by name in `llmrec.catalogue`."""
