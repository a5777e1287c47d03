"""A teacher's view of which texts are alike, taught to a smaller student, or to the first numbers of its vectors.

Only cosines are compared, so that teacher and student may differ in length and tokenizer (similarity-preserving
distillation, Tung & Mori, ICCV 2019). Without `tuning.teacher` it is the encoder as it came, which the prefixes of
`tuning.prefixes` learn to stand for (Matryoshka, arXiv 2205.13147).
"""

import numpy as np
from torch import Tensor, nn

from llmrec.encoding.encoders.model_files import model_folder
from llmrec.encoding.encoders.tokens import Tokenizer
from llmrec.tuning.gradients import Passes, backward, encode
from llmrec.tuning.network import load_network
from llmrec.tuning.objectives.base import Learning, enough, over_prefixes


class Distillation:
    """Squared difference of the cosines of a batch's texts, mean over pairs and prefixes."""

    def __init__(self, learning: Learning) -> None:
        data = learning.data
        rows = data.learned()
        self._learning, self._rows = learning, rows[data.written(rows)]
        enough(len(self._rows), data.config.batch_size, "texts before T1", "lower tuning.batch_size")
        teacher = data.config.teacher or learning.encoder
        folder = model_folder(teacher.model, teacher.revision)
        self._teacher = load_network(teacher, folder, data.config.dtype, dropout=False).to(learning.group.device)
        self._tokenizer = Tokenizer(folder, min(data.config.max_tokens, teacher.max_tokens), teacher.trust_remote_code)
        self._prompts = learning.encoder.document_prompt, teacher.document_prompt
        self.head = nn.Module()

    def step(self, passes: Passes, rng: np.random.Generator, weight: float) -> tuple[float, int]:
        """A batch of `tuning.batch_size` texts."""
        data = self._learning.data
        rows = self._rows[rng.integers(0, len(self._rows), data.config.batch_size)]
        mine, theirs = self._prompts
        told = [theirs + data.texts.texts[row].removeprefix(mine) for row in rows]
        wanted = cosines(encode(self._teacher, self._tokenizer(told).ids, passes))

        def loss_of(vectors: Tensor) -> Tensor:
            return weight * over_prefixes(
                vectors, data.config.prefixes, lambda some: nn.functional.mse_loss(cosines(some), wanted)
            )

        return backward(self._learning.network, [data.tokens[row] for row in rows], loss_of, passes) / weight, len(rows)


def cosines(vectors: Tensor) -> Tensor:
    """(n, d) → (n, n)."""
    unit = nn.functional.normalize(vectors, dim=1)
    return unit @ unit.T
