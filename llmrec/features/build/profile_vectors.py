"""The profiles' versions with their vectors, which the embeddings' store holds, as files of a history."""

import numpy as np
import pyarrow.compute as pc

from llmrec.encoding import encoder_config, open_store
from llmrec.encoding.store.keys import keys_array, text_keys
from llmrec.encoding.texts.corpus_texts import prompted_texts
from llmrec.features.arrays import Floats32
from llmrec.features.asof.history import ITEMS, USERS, profiles_uri
from llmrec.features.asof.ids import Ids
from llmrec.features.asof.logs.profile_log import write_profiles
from llmrec.features.build.plan import BuildInputs
from llmrec.features.transforms.reduction import Reduction, reduce_vectors
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage

_COLUMNS = ["id", "made_at", C.TEXT]


def write_profile_logs(inputs: BuildInputs, reduction: Reduction) -> None:
    """Write the versions of users and of items; who is not in the corpus has none. Memory: those of one side."""
    assert inputs.readings is not None and inputs.embeddings is not None
    for side, log in (("user", USERS), ("item", ITEMS)):
        table = inputs.readings.dataset("profiles").to_table(_COLUMNS, pc.field("side") == side)
        ids = Ids.load(f"{inputs.history}/{side}_ids.arrow")
        rows = ids.rows_of(table["id"])
        vectors = _vectors(inputs.storage, inputs.embeddings, table[C.TEXT].to_pylist(), reduction)
        known = np.flatnonzero(rows)
        write_profiles(
            profiles_uri(inputs.history, log), rows[known], table["made_at"].to_numpy()[known], vectors[known], len(ids)
        )


def _vectors(storage: Storage, embeddings: Artifact, texts: list[str], reduction: Reduction) -> Floats32:
    """(n, D) reduced as reviews are; zero for a text that is empty, or that this encoder has not read."""
    store = open_store(storage, embeddings)
    keys = text_keys(store.fingerprint, prompted_texts(encoder_config(embeddings), texts))
    some = np.flatnonzero([key is not None for key in keys])
    found = store.find(keys_array([str(keys[at]) for at in some]))
    vectors = np.zeros((len(texts), reduction.dim), np.float32)
    present = some[found.present]
    if len(present):
        vectors[present] = reduce_vectors(found.vectors[found.present], reduction)
    return vectors
