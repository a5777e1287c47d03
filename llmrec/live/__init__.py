"""Events that come while the server runs: a durable log, and a bundle's history with them in it."""
