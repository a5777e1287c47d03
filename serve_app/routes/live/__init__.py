"""Routes by which the server hears: events, feedback, items, users."""
