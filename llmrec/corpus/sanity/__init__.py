"""What the corpus is like, and what is wrong with it."""
