"""The tokenizer, called by us ahead of the engine: ids, lengths and unknown tokens of every text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class TokenBatch:
    """The token ids of some texts."""

    ids: list[list[int]]
    n_unknown: npt.NDArray[np.int32]  # (n,)

    @property
    def n_tokens(self) -> npt.NDArray[np.int32]:
        """(n,) lengths, special tokens included."""
        return np.fromiter(map(len, self.ids), np.int32, len(self.ids))


class Tokenizer:
    """A Hugging Face tokenizer that cuts at `max_tokens` and counts what it does not know."""

    def __init__(self, folder: Path, max_tokens: int, trust_remote_code: bool = False) -> None:
        from transformers import AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=trust_remote_code, local_files_only=True
        )
        self._max_tokens = max_tokens
        unknown = self._tokenizer.unk_token_id
        # Byte-level vocabularies know every byte; some name their end-of-text token as the unknown one all the same.
        self._unknown = None if unknown == self._tokenizer.eos_token_id else unknown

    def __call__(self, texts: Sequence[str]) -> TokenBatch:
        """Token ids of `texts`, cut but not padded."""
        if not texts:
            return TokenBatch([], np.zeros(0, np.int32))
        ids = self._tokenizer(
            list(texts), truncation=True, max_length=self._max_tokens, padding=False, return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]  # fmt: skip
        unknown = (0 if self._unknown is None else row.count(self._unknown) for row in ids)
        return TokenBatch(ids, np.fromiter(unknown, np.int32, len(ids)))
