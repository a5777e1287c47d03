"""Retrievers that score hand-made features of each (user, item) as of the request."""
