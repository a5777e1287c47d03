"""Retrievers by how often items were taken."""
