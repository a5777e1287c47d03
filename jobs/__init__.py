"""One thin entry point a stage: parse, call, print one JSON line."""
