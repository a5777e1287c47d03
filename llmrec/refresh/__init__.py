"""Models kept fresh: the server's log of events becomes corpus, models go on, and what is no worse is published."""
