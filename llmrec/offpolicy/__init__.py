"""What another policy would have got: estimates from lists whose choices have known probabilities."""
