"""Retrievers that compare the words of items."""
