"""A model on disk: `model.json`, which names it with its settings, and `weights.safetensors`."""

from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from llmrec.catalogue import MODELS, Role, model_class
from llmrec.config.models import ModelConfig, model_config
from llmrec.features.asof.history import History
from llmrec.features.asof.logs.entity_log import VECTORS
from llmrec.files import read_json, write_json
from llmrec.models.base import FitData, Model, ModelContext
from llmrec.models.files.weights_file import WeightsError, load_arrays, save_arrays

FILE, WEIGHTS = "model.json", "weights.safetensors"


class ModelFile(BaseModel):
    """`model.json`."""

    model_config = ConfigDict(extra="forbid")
    role: Role
    name: str
    config: dict[str, Any]


def make_model(role: Role, config: ModelConfig, context: ModelContext | None = None) -> Any:
    """The unfitted model."""
    return model_class(role, config.name)(config, context)


def save_model(folder: str, model: Model) -> None:
    """Write both files below `folder`."""
    file = ModelFile(role=model.ROLE, name=model.config.name, config=model.config.model_dump(mode="json"))
    save_arrays(f"{folder}/{WEIGHTS}", model.state())
    write_json(f"{folder}/{FILE}", file.model_dump())


def load_model(folder: str, context: ModelContext) -> Any:
    """What `save_model` wrote. Raises WeightsError (a ValueError) where it cannot be used."""
    try:
        file = ModelFile.model_validate(read_json(f"{folder}/{FILE}"))
        if file.name not in MODELS[file.role]:
            raise WeightsError(f"{folder}/{FILE}: names the {file.role} {file.name!r}, which this llmrec does not have")
        model = make_model(file.role, model_config(file.role, file.config), context)
    except (ValidationError, ValueError) as error:
        raise WeightsError(f"{folder}/{FILE}: cannot be read: {error}") from None
    arrays = load_arrays(f"{folder}/{WEIGHTS}")
    try:
        model.restore(arrays, fit_data(context, model))
    except WeightsError as error:
        raise WeightsError(f"{folder}/{WEIGHTS}: {error}") from None
    except KeyError as error:
        raise WeightsError(f"{folder}/{WEIGHTS}: holds no array {error}; copy the bundle again") from None
    return model


def fit_data(context: ModelContext, model: Model, train: npt.NDArray[np.int64] | None = None, seed: int = 7) -> FitData:
    """What a model may learn from or read: events, and the reduced vectors of reviews where it asks for them."""
    vectors = review_vectors(context.history) if model.INFO.reads == "text" else None
    rows = np.zeros(0, np.int64) if train is None else train
    return FitData(context.interactions, rows, context.as_of, vectors, seed)


def review_vectors(history: History) -> npt.NDArray[np.float32]:
    """(n_events, dim) reduced vectors of the reviews in order of events, zero where there is no text; in memory."""
    rows = history.users.rows[VECTORS]
    found = np.empty(rows.shape, np.float32)
    found[history.users.events.order] = rows.whole()
    return found[:, :-1]
