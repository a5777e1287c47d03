"""SASRec: causal self-attention over what a user had, on ids, on words, or on both."""
