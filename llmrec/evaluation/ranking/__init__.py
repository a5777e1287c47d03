"""Lists from every model, block by block, and what they are worth."""
