"""An encoder as torch trains it: token ids to pooled vectors, as vLLM will make them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from llmrec.config import EncoderConfig

#: On CPUs in bfloat16 the fused kernel's way back takes twice the time of plain products (benchmarks/RESULTS.md).
_ATTENTION = "sdpa" if torch.cuda.is_available() else "eager"


class TextNetwork(nn.Module):
    """A transformer and its pooling. `micro` texts go through at once; products are made in `dtype`."""

    def __init__(self, backbone: nn.Module, config: EncoderConfig, dtype: str, pad: int = 0) -> None:
        super().__init__()
        self.backbone = backbone
        self._pooling, self._dimension, self._normalize = config.pooling, config.dimension, config.normalize
        self._dtype, self._pad = getattr(torch, dtype), pad
        width: Any = backbone.config
        self.width = int(width.hidden_size)
        self.dim = min(self.width, config.dimension or self.width)

    def states(self, ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """(hidden states (b, t, width) float32, mask (b, t) of tokens that are there)."""
        device = next(self.parameters()).device
        longest = max(map(len, ids))
        padded = torch.tensor([[*row, *[self._pad] * (longest - len(row))] for row in ids], device=device)
        lengths = torch.tensor([len(row) for row in ids], device=device)
        mask = torch.arange(longest, device=device) < lengths[:, None]
        with torch.autocast(device.type, self._dtype, enabled=self._dtype != torch.float32):
            found = self.backbone(input_ids=padded, attention_mask=mask.long()).last_hidden_state
        return found.float(), mask

    def forward(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """(b, dim) vectors, of length one where the encoder's are."""
        states, mask = self.states(ids)
        vectors = pool(states, mask, self._pooling)[:, : self._dimension]
        return nn.functional.normalize(vectors, dim=1) if self._normalize else vectors


def pool(states: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """(b, t, d), (b, t) → (b, d)."""
    if pooling == "cls":
        return states[:, 0]
    if pooling == "last":
        return states[torch.arange(len(states)), mask.sum(1) - 1]
    if pooling == "max":
        return states.masked_fill(~mask[:, :, None], -torch.inf).amax(1)
    return (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)


def load_network(config: EncoderConfig, folder: Path, dtype: str, dropout: bool) -> TextNetwork:
    """The encoder of `folder`, in float32. Raises ValueError where it cannot be tuned."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # a second's work
    named = {"trust_remote_code": config.trust_remote_code, "local_files_only": True}
    try:
        backbone = AutoModel.from_pretrained(str(folder), dtype=torch.float32, attn_implementation=_ATTENTION, **named)
        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), **named)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"encoding.encoder.model: {config.model!r} cannot be loaded to be tuned ({type(error).__name__}: "
            f"{str(error).splitlines()[0]}); expected a folder that transformers' AutoModel reads"
        ) from None
    network = TextNetwork(backbone, config, dtype, int(tokenizer.pad_token_id or 0))
    # In evaluation mode there is no dropout at all, and the same step is the same on any number of workers.
    network.train(dropout)
    _freeze_unused(network)
    return network


def _freeze_unused(network: TextNetwork) -> None:
    """A weight that no vector depends on (BERT's pooler) is left alone: weight decay would still change it."""
    network([[1, 2, 3]]).sum().backward()
    for parameter in network.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None
