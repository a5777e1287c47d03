"""What is known before a moment: running sums by entity, in mapped files."""
