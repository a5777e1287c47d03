"""The encode stage over Ray: what is missing, where it runs, and how a bad row is isolated."""
