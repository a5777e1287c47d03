"""Sections about what is done with words: encoders, readers, tuning."""
