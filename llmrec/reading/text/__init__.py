"""What readers share about words: languages, speakers, spans, lists of words."""
