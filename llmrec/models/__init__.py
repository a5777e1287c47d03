"""Models of one shape (`base.py`), retrievers, rankers, blenders and raters, and what their fits share. No Ray."""
