"""What is encoded: one template for reviews and items, and the texts of a corpus."""
