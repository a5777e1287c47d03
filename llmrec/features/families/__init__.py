"""Feature families: what each is called, whose it is, how it is computed."""
