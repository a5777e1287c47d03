"""Experiments on users of a server: who gets which arm, when an arm must stop, and what the log says of the arms."""
