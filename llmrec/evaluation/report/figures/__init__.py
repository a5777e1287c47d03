"""Figures of the report, placed and ready to be drawn."""
