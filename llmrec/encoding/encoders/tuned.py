"""What an encoder's folder says of its own training: the moment before which every text was written that it learned."""

import datetime as dt
import json
from pathlib import Path

from llmrec.config import EncoderConfig
from llmrec.encoding.encoders.model_files import model_folder

#: Beside the weights of a model that was tuned on a corpus: `{"texts_before": "2013-07-01T00:00:00+00:00"}`.
CUTOFF_FILE = "training_cutoff.json"


def tuned_before(config: EncoderConfig) -> int | None:
    """Milliseconds UTC before which all texts lie that the encoder was tuned on; None where its folder says nothing.

    Only a model that is named by its folder is asked: one from a hub or a package knows nothing of your corpus. A
    moment without a zone is UTC. Raises ValueError where the file is there and cannot be read.
    """
    if config.backend != "vllm":
        return None
    folder = model_folder(config.model) if "://" in config.model else Path(config.model).expanduser()
    path = folder / CUTOFF_FILE
    if not path.is_file():
        return None
    try:
        moment = dt.datetime.fromisoformat(json.loads(path.read_text(encoding="utf-8"))["texts_before"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path}: cannot be read ({type(error).__name__}: {error}); expected "
            '{"texts_before": "2013-07-01T00:00:00+00:00"}, the moment before which all texts lie that it was tuned on'
        ) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1000)
