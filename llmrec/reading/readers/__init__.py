"""Readers, one a file: each turns texts into readings."""
