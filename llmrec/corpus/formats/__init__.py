"""Known corpora by name: what each calls its columns and how its files are written."""
