"""What each feature family is worth: alone, left out, two together, and under a budget of dimensions."""
