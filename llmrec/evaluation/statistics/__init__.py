"""Intervals and corrected comparisons."""
