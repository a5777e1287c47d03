"""What each user and item did and was said of it, in order of time, with sums before any moment."""
