"""The texts as token ids, and where training ends and validation begins: all of it before the cut-off."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llmrec.config import TuningConfig
from llmrec.encoding.encoders.tokens import Tokenizer
from llmrec.tuning.texts import Ints, TuningTexts


@dataclass(frozen=True)
class TuningData:
    """`tokens` of each text, cut at `tuning.max_tokens`; reviews before row `n_train` are learned from."""

    texts: TuningTexts
    tokens: list[list[int]]  # (R + I,)
    n_train: int
    config: TuningConfig
    seed: int

    def learned(self) -> Ints:
        """Rows of the texts that may be learned from: reviews, and the items in them."""
        items = self.texts.n_reviews + np.unique(self.texts.item[: self.n_train])
        return np.concatenate([np.arange(self.n_train), items])

    def written(self, rows: Ints) -> "np.typing.NDArray[np.bool_]":
        """(n,) whether there are words in each of the texts."""
        return np.array([bool(self.texts.texts[row].strip()) for row in rows], np.bool_)


def make_data(texts: TuningTexts, folder: Path, config: TuningConfig, seed: int, trusted: bool) -> TuningData:
    """Tokenise by the model in `folder`. Raises ValueError where nothing is left to learn from."""
    tokens = Tokenizer(folder, config.max_tokens, trusted)(texts.texts).ids
    start = np.quantile(texts.time, 1 - config.validation_share) if config.validation_share else np.inf
    n_train = int(np.searchsorted(texts.time, start))  # reviews of one moment are on one side
    if not n_train:
        raise ValueError(
            f"tuning: all {texts.n_reviews} reviews before T1 would choose the number of steps, none would be learned "
            "from; expected reviews of several moments: lower tuning.validation_share, or set it to 0"
        )
    return TuningData(texts, tokens, n_train, config, seed)
