"""Hidden words are guessed from those around them (Devlin et al. 2019): the encoder learns the corpus's language."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llmrec.tuning.gradients import Passes
from llmrec.tuning.objectives.base import Learning, enough

_UNREAD = -100


class MaskedLanguageModel:
    """Of each batch's words `tuning.masked_share` are asked: 80 % hidden, 10 % another word, 10 % as they are."""

    def __init__(self, learning: Learning) -> None:
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(str(learning.folder), local_files_only=True)
        if tokenizer.mask_token_id is None:
            raise ValueError(
                "tuning.objectives: masked_language_model needs a tokenizer with a mask token, which the model's has "
                "not; leave the objective out, or name an encoder such as a BERT"
            )
        data, network = learning.data, learning.network
        self._learning, self._mask, self._special = learning, tokenizer.mask_token_id, tokenizer.all_special_ids
        rows = data.learned()
        self._rows = rows[data.written(rows)]
        enough(len(self._rows), data.config.batch_size, "texts before T1", "lower tuning.batch_size")
        backbone: Any = network.backbone
        self._words = backbone.get_input_embeddings()
        self.head = nn.Sequential(nn.Linear(network.width, network.width), nn.GELU(), nn.LayerNorm(network.width))
        self.head.bias = nn.Parameter(torch.zeros(len(self._words.weight)))

    def step(self, passes: Passes, rng: np.random.Generator, weight: float) -> tuple[float, int]:
        """A batch of `tuning.batch_size` texts."""
        size = self._learning.data.config.batch_size
        ids = [self._learning.data.tokens[row] for row in self._rows[rng.integers(0, len(self._rows), size)]]
        shown, asked = self._hide(ids, rng)
        n_asked = max(sum(label != _UNREAD for row in asked for label in row), 1)
        total = torch.zeros((), device=passes.group.device)
        for rows in passes.chunks(ids):
            loss = self._loss([shown[row] for row in rows], [asked[row] for row in rows]) / n_asked
            (weight * loss).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return float(passes.group.sum(total)), size

    def _hide(self, ids: list[list[int]], rng: np.random.Generator) -> tuple[list[list[int]], list[list[int]]]:
        """(ids with words hidden, the words asked for, elsewhere _UNREAD); special tokens are never asked for."""
        share, n_words = self._learning.data.config.masked_share, len(self._words.weight)
        shown, asked = [], []
        for row in ids:
            tokens = np.array(row, np.int64)
            chosen = (rng.random(len(tokens)) < share) & ~np.isin(tokens, self._special)
            luck = rng.random(len(tokens))
            others = rng.integers(0, n_words, len(tokens))
            hidden = np.where(luck < 0.8, self._mask, np.where(luck < 0.9, others, tokens))
            shown.append(np.where(chosen, hidden, tokens).tolist())
            asked.append(np.where(chosen, tokens, _UNREAD).tolist())
        return shown, asked

    def _loss(self, ids: list[list[int]], asked: list[list[int]]) -> Tensor:
        """The sum over what is asked of some texts."""
        states, mask = self._learning.network.states(ids)
        labels = torch.tensor([label for row in asked for label in row], device=states.device)
        told = states[mask][labels != _UNREAD]
        logits = self.head(told) @ self._words.weight.T + self.head.bias
        return nn.functional.cross_entropy(logits, labels[labels != _UNREAD], reduction="sum")
