"""Encoders without a network: counts of words and vectors of words. Fitted on a corpus, but for `hashing`."""
