"""The report: its words and its pages."""
