"""Files become records: patterns, packing, lines, and the rows in them."""
