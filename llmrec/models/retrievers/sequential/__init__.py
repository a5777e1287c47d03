"""What a user had as a sequence: SASRec and HSTU, on ids, on words, or on both; their tokens, windows and epochs."""
