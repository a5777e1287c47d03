"""The stage `featurize`: what its tasks do, in which order, over shards of vectors and ranges of events."""
