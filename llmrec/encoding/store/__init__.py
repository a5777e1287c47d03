"""Where vectors lie: an immutable store, addressed by content."""
