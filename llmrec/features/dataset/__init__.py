"""The fitted FeatureSpec, labelled examples, negatives, folds."""
