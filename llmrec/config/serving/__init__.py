"""Sections about answering: the server, its replicas, live events, search, experiments, refreshing."""
