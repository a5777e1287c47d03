"""Finished evaluations side by side, computed anew from the lists that they left, in pairs."""
