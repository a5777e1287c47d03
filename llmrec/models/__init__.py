"""Towers, CTR rankers, losses, fusion, and the scoring that training and serving share: plain torch, no Ray."""
