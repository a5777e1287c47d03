"""The report: its schema, its words, its pages."""
