"""The address of a text: what is stored is found by content, so that no text is paid for twice."""

import hashlib
from collections.abc import Sequence

KEY_BYTES = 16


def text_key(fingerprint: str, text: str) -> str:
    """32 hex digits of blake2b over the encoder's fingerprint and the exact text as encoded (prompt included)."""
    return hashlib.blake2b(f"{fingerprint}\0{text}".encode(), digest_size=KEY_BYTES).hexdigest()


def text_keys(fingerprint: str, texts: Sequence[str]) -> list[str | None]:
    """The keys of `texts`; None where there is nothing to encode."""
    return [text_key(fingerprint, text) if text else None for text in texts]


def prefix_width(n_texts: int, per_shard: int = 4096) -> int:
    """Hex digits of a key that name its shard: the fewest (1 to 3) that keep a shard near `per_shard` texts."""
    return next((width for width in (1, 2) if n_texts <= per_shard * 16**width), 3)
