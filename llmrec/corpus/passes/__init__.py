"""The two passes over the rows: read and dealt into buckets, then ordered and deduplicated."""
