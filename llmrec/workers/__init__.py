"""Data-parallel workers: what a step sees of the others, and how Ray Train starts, replaces and resumes them."""
