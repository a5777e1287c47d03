"""What the real engine's vectors are held against: plain transformers in float32, one text at a time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

TEXTS = [
    "These strings stay in tune for weeks.",
    "bad",
    "It broke on the first day, and the seller never answered my letters. " * 12,
    "这个吉他很好 🎸",
    "Würde ich wieder kaufen!",
    "The sound is warm; the neck is a little too wide for small hands, but one gets used to it.",
]
BF16_COSINE = 0.9999


def reference_tokens(model: Path, texts: Sequence[str], max_tokens: int) -> list[np.ndarray]:
    """The last hidden states of every text, (t, d) float32, without padding."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModel.from_pretrained(model, dtype=torch.float32).eval()
    states = []
    with torch.no_grad():
        for text in texts:
            ids = tokenizer(text, truncation=True, max_length=max_tokens, padding=False, return_tensors="pt")
            states.append(network(**ids).last_hidden_state[0].numpy())
    return states


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left * right).sum(axis=1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
