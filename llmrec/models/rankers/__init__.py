"""Models that score what was retrieved, fitted on labelled rows, by name in `llmrec.catalogue`."""
