"""Events as arrays, protocols that split them, slices of queries."""
