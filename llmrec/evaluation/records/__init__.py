"""What an evaluation found, as the records that `results.json` holds."""
