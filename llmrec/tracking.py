"""Losses, metrics and speeds as they come, for who watches: TensorBoard's events, and a run of MLflow.

A fit hands on its whole curve, again and again, and each of its rows is written once, also where the run was killed
and went on. What cannot be written is said, stops nothing and is tried again with the next row: a server may be away.
"""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llmrec.config import RunConfig, TrackingConfig

logger = logging.getLogger(__name__)
#: Tag of an MLflow run: the artifact that it shows the making of.
_TAG = "llmrec.run"
#: MLflow's longest value of a parameter, and parameters sent at once.
_LONGEST, _MOST = 6_000, 100
Rows = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Tracked:
    """Where one run's curves go: pickled to the worker that shows them."""

    config: TrackingConfig
    experiment: str
    run: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, config: RunConfig, run: str, *sections: str) -> "Tracked":
        """Of the artifact `run`, made from some sections of the configuration."""
        told = {name: getattr(config, name).model_dump(mode="json") for name in sections} | {"seed": config.seed}
        return cls(config.tracking, config.tracking.experiment or config.name, run, told)

    def curves(self) -> "Curves":
        """Open what is configured. Raises ValueError where its package is not installed."""
        sinks: list[_Sink] = []
        if self.config.tensorboard is not None:
            sinks.append(_TensorBoard(f"{self.config.tensorboard}/{self.run}"))
        if self.config.mlflow is not None:
            sinks.append(_MLflow(self))
        return Curves(sinks)


class Curves:
    """What shows the curves of a run's fits; without a sink, nothing."""

    def __init__(self, sinks: Sequence["_Sink"] = ()) -> None:
        self._sinks = [(sink, dict[str, float]()) for sink in sinks]  # up to where each has each fit's curve

    def resume(self, fit: str, last: float) -> None:
        """What the fit's curve holds up to `last` was shown before."""
        for sink, shown in self._sinks:
            shown[fit] = last
            sink.resume(fit, int(last))

    def show(self, fit: str, rows: Rows, x: str) -> None:
        """Rows of the curve of `fit` that are new; `x`: which of their values counts steps or epochs."""
        for sink, shown in self._sinks:
            new = [row for row in rows if row[x] > shown.get(fit, float("-inf"))]
            told = [(int(row[x]), {name: v for name, v in row.items() if name != x}) for row in new]
            if new and _written(sink, fit, told):
                shown[fit] = new[-1][x]

    def figures(self, values: Mapping[str, float]) -> None:
        """What was found in the end."""
        for sink, _ in self._sinks:
            _written(sink, "", [(0, values)])


class _Sink(Protocol):
    def resume(self, fit: str, last: int) -> None: ...

    def write(self, fit: str, rows: Iterable[tuple[int, Mapping[str, float]]]) -> None: ...


def _written(sink: _Sink, fit: str, rows: Sequence[tuple[int, Mapping[str, float]]]) -> bool:
    try:
        sink.write(fit, rows)
    except Exception as error:
        logger.warning("tracking: %s of %s not shown: %s", fit or "figures", type(sink).__name__.strip("_"), error)
        return False
    return True


class _TensorBoard:
    """A folder of events a fit."""

    def __init__(self, folder: str) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ValueError(f"tracking.tensorboard: {error}; run `pip install tensorboard`, or leave it out") from None
        self._make, self._folder = SummaryWriter, folder
        self._writers: dict[str, Any] = {}
        self._purged: dict[str, int] = {}

    def resume(self, fit: str, last: int) -> None:
        self._purged[fit] = last + 1  # what a killed process wrote beyond its last report is written again

    def write(self, fit: str, rows: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        if fit not in self._writers:
            folder = f"{self._folder}/{fit}" if fit else self._folder
            self._writers[fit] = self._make(folder, purge_step=self._purged.get(fit))
        for step, values in rows:
            for name, value in values.items():
                self._writers[fit].add_scalar(name, value, step)
        self._writers[fit].flush()


class _MLflow:
    """One run, found again by its tag; metrics are named FIT/NAME."""

    def __init__(self, tracked: Tracked) -> None:
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise ValueError(f"tracking.mlflow: {error}; run `pip install mlflow`, or leave it out") from None
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # of seven, a training would wait for minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        self._make, self._tracked = MlflowClient, tracked
        self._client: Any = None
        self._id = ""
        self._steps: dict[str, set[int]] = {}  # that the run holds, by metric

    def resume(self, fit: str, last: int) -> None:
        """Nothing: the run's own history says what it holds."""

    def write(self, fit: str, rows: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        if not self._id:
            self._client = self._make(tracking_uri=self._tracked.config.mlflow)
            self._id = self._run()
        for step, values in rows:
            for name, value in values.items():
                key = _allowed(f"{fit}/{name}" if fit else name)
                if key not in self._steps:
                    self._steps[key] = {metric.step for metric in self._client.get_metric_history(self._id, key)}
                if step not in self._steps[key]:
                    self._client.log_metric(self._id, key, float(value), step=step)
                    self._steps[key].add(step)

    def _run(self) -> str:
        """The run's id: a new one with its settings, or that of the process which was killed."""
        name, client = self._tracked.experiment, self._client
        experiment = client.get_experiment_by_name(name)
        place = experiment.experiment_id if experiment else client.create_experiment(name)
        if found := client.search_runs([place], f"tags.`{_TAG}` = '{self._tracked.run}'", max_results=1):
            return str(found[0].info.run_id)
        made = client.create_run(place, tags={_TAG: self._tracked.run}, run_name=self._tracked.run)
        from mlflow.entities import Param

        params = [Param(_allowed(k), str(v)[:_LONGEST]) for k, v in flattened(self._tracked.settings, ".").items()]
        for start in range(0, len(params), _MOST):
            client.log_batch(made.info.run_id, params=params[start : start + _MOST])
        return str(made.info.run_id)


def flattened(tree: Mapping[str, Any], separator: str, before: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`; what is empty stays as it is."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            found |= flattened(value, separator, f"{before}{name}{separator}")
        else:
            found[f"{before}{name}"] = value
    return found


def _allowed(name: str) -> str:
    """A name as MLflow takes it: letters, digits, `_-./ :`."""
    return "".join(c if c.isalnum() or c in "_-./ :" else "_" for c in name)
