"""Raters over every feature family of a variant: what a bias leaves of the stars, from the rows that a ranker reads."""
