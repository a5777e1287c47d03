"""Each module is a benchmark; its last line on stdout is compact JSON."""
