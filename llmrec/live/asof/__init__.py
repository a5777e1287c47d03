"""A history that grows: events and items are put behind the mapped files, where as-of states find them."""
