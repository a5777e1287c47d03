"""Single values of a row: ids, stars, times, prices, texts. Each is read, or refused with a reason."""
