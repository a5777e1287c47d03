"""From the ranker's logit to the probability that is served, by name in `llmrec.catalogue`."""
