"""Gradient-boosted trees by LightGBM (Ke et al., NeurIPS 2017), the same bits for the same seed and rows."""

from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.floating[Any]]


def grow(
    rows: Rows, label: npt.NDArray[Any], *, objective: str, rounds: int, seed: int,
    group: npt.NDArray[Any] | None = None,
    held_out: tuple[Rows, npt.NDArray[Any], npt.NDArray[Any] | None] | None = None, patience: int = 20, **settings: Any,
) -> lightgbm.Booster:  # fmt: skip
    """Trees on (n, D) rows; `group`: sizes of the queries that rows belong to, one after the other.

    With `held_out` (rows, label, group) growing stops `patience` rounds after the best one.
    """
    parameters = {
        "objective": objective, "learning_rate": 0.05, "num_leaves": 15, "lambda_l2": 5.0, "min_data_in_leaf": 20,
        "seed": seed, "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbosity": -1, **settings,
    }  # fmt: skip
    train = lightgbm.Dataset(rows, label, group=group, params={"verbosity": -1})
    if held_out is None:
        return lightgbm.train(parameters, train, rounds)
    x, y, sizes = held_out
    valid = lightgbm.Dataset(x, y, group=sizes, reference=train)
    stop = lightgbm.early_stopping(patience, verbose=False)
    return lightgbm.train(parameters, train, rounds, valid_sets=[valid], callbacks=[stop])


def booster_bytes(booster: lightgbm.Booster) -> npt.NDArray[np.uint8]:
    """The trees as text, to be saved beside arrays."""
    return np.frombuffer(booster.model_to_string(num_iteration=booster.best_iteration or -1).encode(), np.uint8)


def booster_of(data: npt.NDArray[np.uint8]) -> lightgbm.Booster:
    """What `booster_bytes` gave. Raises lightgbm.basic.LightGBMError where it is no whole model."""
    return lightgbm.Booster(model_str=data.tobytes().decode())
