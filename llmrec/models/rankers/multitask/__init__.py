"""Rankers of many outcomes at once: click, what follows it, dwell, like, stars, over one fusion of features."""
