"""The stages in order, each skipped where its inputs have not changed."""
