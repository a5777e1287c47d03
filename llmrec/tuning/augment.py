"""Texts told otherwise, for `contrastive`: on token ids, between the special tokens. One function a kind.

Word dropout and span deletion: SimCSE's baselines (Gao et al., EMNLP 2021, table 1); sentence order: BART's permutation
(Lewis et al., ACL 2020).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

Ids = list[int]
_ENDS = (".", "!", "?", "。", "！", "？")


def word_dropout(words: Ids, share: float, ends: frozenset[int], rng: np.random.Generator) -> Ids:
    """Each token is left out with probability `share`."""
    kept = rng.random(len(words)) >= share
    return [word for word, stays in zip(words, kept, strict=True) if stays]


def span_deletion(words: Ids, share: float, ends: frozenset[int], rng: np.random.Generator) -> Ids:
    """One stretch of `share` of the tokens is left out."""
    n = int(len(words) * share)
    start = int(rng.integers(0, len(words) - n + 1))
    return words[:start] + words[start + n :]


def sentence_order(words: Ids, share: float, ends: frozenset[int], rng: np.random.Generator) -> Ids:
    """With probability `share` the sentences change places."""
    if rng.random() >= share:
        return words
    stops = [at + 1 for at, word in enumerate(words) if word in ends]
    sentences = [words[a:b] for a, b in zip([0, *stops], [*stops, len(words)], strict=True)]
    return [word for at in rng.permutation(len(sentences)) for word in sentences[at]]


AUGMENTATIONS: Mapping[str, Callable[[Ids, float, frozenset[int], np.random.Generator], Ids]] = MappingProxyType(
    {"word_dropout": word_dropout, "span_deletion": span_deletion, "sentence_order": sentence_order}
)


class Augmentation:
    """`tuning.augment`, in the order in which it names them; `folder` holds the tokenizer."""

    def __init__(self, kinds: Mapping[str, float], folder: Path) -> None:
        self._kinds = kinds
        self._special: frozenset[int] = frozenset()
        self._ends: frozenset[int] = frozenset()
        if kinds:
            from transformers import AutoTokenizer

            tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
            self._special = frozenset(tokenizer.all_special_ids)
            self._ends = frozenset(i for word, i in tokenizer.get_vocab().items() if word.endswith(_ENDS))

    def __call__(self, ids: Sequence[int], rng: np.random.Generator) -> Ids:
        """The same text told otherwise; as it was where nothing would be left of it."""
        if not self._kinds:
            return list(ids)
        first = next((at for at, i in enumerate(ids) if i not in self._special), len(ids))
        last = next((at for at, i in enumerate(reversed(ids)) if i not in self._special), 0)
        words = list(ids[first : len(ids) - last])
        for kind, share in self._kinds.items():
            words = AUGMENTATIONS[kind](words, share, self._ends, rng) if words else words
        return [*ids[:first], *words, *ids[len(ids) - last :]] if words else list(ids)
