"""How the scores of a candidate become one, by name in `llmrec.catalogue`."""
