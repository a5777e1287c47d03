"""The second pass: the rows of one bucket become tables without copies."""
