"""What tuning is worth by itself: ranking by text alone, by the encoder as it came and as it was tuned.

A user is the mean of the five latest reviews that they liked before, an item its own text or, where it has none, its
five latest reviews: nothing else is known. Queries are likes from a moment on that no encoder has read past.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from llmrec.config import EncoderConfig, RunConfig
from llmrec.encoding.encoders.model_files import model_folder
from llmrec.storage import Artifact
from llmrec.tuning.data import TuningData, make_data
from llmrec.tuning.fit import judge
from llmrec.tuning.network import load_network
from llmrec.tuning.ranking import TextQueries, text_queries
from llmrec.tuning.texts import read_before
from llmrec.workers.process_group import ProcessGroup

_ALWAYS = 1 << 62


@dataclass(frozen=True)
class TextQuestions:
    """The whole corpus as texts, and what encoders are asked of it; `new`: of items that nobody reviewed before."""

    data: TuningData
    every: TextQueries
    new: TextQueries


def text_questions(config: RunConfig, corpus: Artifact, since: float, n: int) -> TextQuestions:
    """At most `n` likes from `since` (ms) on, and as many of new items."""
    encoder = config.encoding.encoder
    texts = read_before(corpus, _ALWAYS, encoder, _ALWAYS)
    folder = model_folder(encoder.model, encoder.revision)
    data = make_data(texts, folder, config.tuning, seed=1, trusted=encoder.trust_remote_code)
    first = int(np.searchsorted(texts.time, since))
    every, new = (text_queries(texts, first, n, seed=1, new=new) for new in (False, True))
    return TextQuestions(data, every, new)


def text_ndcg(
    encoder: EncoderConfig, data: TuningData, queries: TextQueries, network: Any = None
) -> npt.NDArray[np.float64]:
    """(Q,) NDCG@10 of ranking by the vectors of `encoder`, or of `network`, which is that loaded."""
    if not len(queries):
        return np.empty(0)
    return np.asarray(judge(network or network_of(encoder, data), data, queries, ProcessGroup()), np.float64)


def network_of(encoder: EncoderConfig, data: TuningData) -> Any:
    """The encoder as a network, to be asked several times."""
    return load_network(encoder, model_folder(encoder.model, encoder.revision), data.config.dtype, dropout=False)
