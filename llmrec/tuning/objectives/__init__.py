"""What an encoder is tuned by: a file each, by name."""
