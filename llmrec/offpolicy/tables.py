"""Logs of single actions in a Parquet or CSV file, made by whatever system."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from llmrec.offpolicy.logged import Doubles, LoggedSlots

#: Values of a column that become features of their own; the rarer ones share one.
_LEVELS = 128
NEEDED = ("action", "propensity", "reward")
#: Not features of the context.
_OTHER = (*NEEDED, "position", "target", "user")


def read_table(path: str) -> pd.DataFrame:
    """A file's rows. Raises ValueError for one of another kind, FileNotFoundError where there is none."""
    if path.endswith(".parquet"):
        return _some(path, pd.read_parquet)
    if path.endswith((".csv", ".csv.gz")):
        return _some(path, pd.read_csv)
    raise ValueError(f"off-policy: {path}: expected a name that ends in .parquet, .csv or .csv.gz")


def _some(path: str, read: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    try:
        rows = read(path)
    except pd.errors.EmptyDataError:
        rows = pd.DataFrame()
    if not len(rows):
        raise ValueError(f"off-policy: {path}: found no row, expected logged actions below a header")
    return rows


def slots_of_table(rows: pd.DataFrame, target: pd.DataFrame | str | None) -> LoggedSlots:
    """A table of columns `action`, `propensity`, `reward`, and perhaps `position`, `user` (whose rows depend on each
    other), `target`; all others are the context.

    `target`: `uniform` over the table's actions; a table of `action`, `probability` and perhaps `position`; or None
    where the column `target` says the probability of each row's action. Raises ValueError for what is missing or wrong.
    """
    if missing := [name for name in NEEDED if name not in rows]:
        raise ValueError(f"off-policy: found no column {', '.join(missing)} among {', '.join(map(str, rows.columns))}")
    rows = rows.reset_index(drop=True)
    numbers = {name: _numbers(rows, name) for name in ("propensity", "reward")}
    user = np.arange(len(rows)) if "user" not in rows else pd.factorize(rows["user"], use_na_sentinel=False)[0]
    first = np.zeros(len(rows), np.int64)
    own: dict[str, Any] = {"user": user.astype(np.int64), "list": np.arange(len(rows)), "slot": first, **numbers}
    if target is None:
        if "target" not in rows:
            raise ValueError(
                "off-policy: found neither --target nor a column `target`; expected the policy asked about"
            )
        return LoggedSlots(**own, target=_numbers(rows, "target"))
    chances = _chances(rows, target)
    actions, places = list(chances.columns), _places(rows)
    row, column = chances.index.get_indexer(places), chances.columns.get_indexer(rows["action"])
    values = chances.to_numpy(float)[row]
    of_taken = np.where(column >= 0, np.take_along_axis(values, np.maximum(column, 0)[:, None], 1)[:, 0], 0.0)
    known, taken = _actions(rows, actions)
    context = _context(rows)
    return LoggedSlots(
        **own, target=of_taken, unseen=_unseen(rows, chances, places),
        taken=np.concatenate([context, taken], axis=1), intended=np.concatenate([context, values @ known], axis=1),
    )  # fmt: skip


def _numbers(rows: pd.DataFrame, name: str) -> Doubles:
    found = pd.to_numeric(rows[name], errors="coerce").to_numpy(float)
    if len(wrong := np.flatnonzero(~np.isfinite(found))):
        raise ValueError(f"off-policy: {name} of row {wrong[0]}: found {rows[name][wrong[0]]!r}, expected a number")
    return np.asarray(found)


def _places(rows: pd.DataFrame) -> pd.Series:
    return rows["position"] if "position" in rows else pd.Series(np.zeros(len(rows), int))


def _chances(rows: pd.DataFrame, target: pd.DataFrame | str) -> pd.DataFrame:
    """The target's probabilities, a row a position, a column an action."""
    places = sorted(_places(rows).unique())
    if isinstance(target, str):
        if target != "uniform":
            raise ValueError(f"off-policy: target {target!r}: expected `uniform` or a table of probabilities")
        actions = sorted(rows["action"].unique())
        return pd.DataFrame(1 / len(actions), index=places, columns=actions)
    if missing := [name for name in ("action", "probability") if name not in target]:
        raise ValueError(f"off-policy: the target has no column {', '.join(missing)}; expected action, probability")
    if "position" not in target:
        target = pd.concat([target.assign(position=place) for place in places])
    found = target.pivot_table(index="position", columns="action", values="probability", aggfunc="sum").fillna(0.0)
    if lacking := [place for place in places if place not in found.index]:
        raise ValueError(f"off-policy: the target says nothing of position {lacking[0]}")
    if len(wrong := np.flatnonzero(abs(found.to_numpy().sum(axis=1) - 1) > 1e-3)):
        raise ValueError(
            f"off-policy: the target's probabilities of position {found.index[wrong[0]]} add up to "
            f"{found.iloc[wrong[0]].sum():.4f}, expected 1"
        )
    return found


def _unseen(rows: pd.DataFrame, chances: pd.DataFrame, places: pd.Series) -> float:
    """How much of what the target does was, in its position, never done."""
    seen = pd.crosstab(places, rows["action"]).reindex(index=chances.index, columns=chances.columns, fill_value=0)
    lost = chances.where(seen == 0, 0.0).sum(axis=1)
    return float(lost[places].mean())


def _actions(rows: pd.DataFrame, actions: Sequence[object]) -> tuple[Doubles, Doubles]:
    """(A, L) features of each action that the target may do, and (n, L) of each row's."""
    kept = rows["action"].value_counts().index[:_LEVELS]
    at = [kept.get_indexer(pd.Index(found)) for found in (actions, rows["action"])]
    known, taken = (np.eye(len(kept) + 1)[where] for where in at)  # −1, the last one: the rarer ones
    return known, taken


def _context(rows: pd.DataFrame) -> Doubles:
    """(n, d) numbers in units of their spread; words, and positions, by their most frequent values."""
    names = [name for name in rows if name not in _OTHER]
    parts: list[npt.NDArray[np.float64]] = [np.zeros((len(rows), 0))]
    for name in names:
        if pd.api.types.is_numeric_dtype(rows[name]):
            values = rows[name].to_numpy(float, na_value=0.0)
            parts.append(((values - values.mean()) / (values.std() or 1.0))[:, None])
        else:
            parts.append(_levels(rows[name].astype(str)))
    if "position" in rows:
        parts.append(_levels(rows["position"].astype(str)))
    return np.concatenate(parts, axis=1)


def _levels(values: pd.Series) -> Doubles:
    kept = values.value_counts().index[:_LEVELS]
    found: Doubles = np.eye(len(kept) + 1)[kept.get_indexer(pd.Index(values))]
    return found
