"""The two-tower retriever: its net, the epochs of its fit, the search of its vectors."""
