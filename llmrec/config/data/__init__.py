"""Sections about what is read: files, columns, events, outcomes."""
