"""Models on disk: settings, weights, and what a stage says of them."""
