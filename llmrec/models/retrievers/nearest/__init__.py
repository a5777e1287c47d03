"""What retrievers by vectors share: nearest-neighbour search as of any time, and its validation."""
