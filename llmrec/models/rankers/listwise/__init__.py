"""The list-wise ranker: lists of retrieved candidates, and a conditional logit over them."""
