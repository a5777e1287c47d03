"""The page at `/`: a form, a list with reasons, what is served. Rendered here, with a little script for keys."""
