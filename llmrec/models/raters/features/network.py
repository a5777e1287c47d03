"""The ranker's network on what a bias leaves of the stars, by Ray Train."""

from typing import Literal

import numpy as np
import torch

from llmrec.features.dataset.rows import Examples
from llmrec.models.base import Arrays, FitData, Floats, ModelContext, ModelInfo
from llmrec.models.networks.weights import from_arrays, to_arrays
from llmrec.models.rankers.click_network import ClickNetwork
from llmrec.models.rankers.dcnv2 import DCNv2, DCNv2Config
from llmrec.models.rankers.network_ranker import NetworkTask, Target, predict
from llmrec.models.raters.features.rater import FeatureRater, FeatureRaterConfig
from llmrec.storage import Artifact
from llmrec.workers.process_group import ProcessGroup


class NetworkRaterConfig(FeatureRaterConfig, DCNv2Config):
    name: Literal["network"] = "network"  # type: ignore[assignment]
    weight_decay: float = 1e-2


def _squared(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return (outputs - labels).square().sum()


def _rmse(labels: Floats, outputs: Floats) -> dict[str, float]:
    return {"rmse": float(np.sqrt(np.mean((outputs - labels) ** 2)))}


STARS = Target("rmse", -1, _squared, _rmse)


class NetworkRater(FeatureRater):
    """DCN V2 over ids, history and dense features; squared error, epochs chosen by validation's RMSE."""

    Config = NetworkRaterConfig
    INFO = ModelInfo("Bias + network", "DCN V2 over ids, history and features, on the biases' residual", "features",
                     "Wang et al., WWW 2021", needs_clock=True, output="stars")  # fmt: skip

    def __init__(self, config: NetworkRaterConfig, context: ModelContext | None = None) -> None:
        super().__init__(config, context)
        self.net = ClickNetwork.of(config, DCNv2, self.context)

    def fit_task(self, examples: Artifact, group: ProcessGroup, validate: bool) -> NetworkTask:
        data, spec = self.context.interactions, self.context.spec
        rated = np.flatnonzero(np.isfinite(data.stars))
        train = rated[data.time[rated] < spec.cutoff]
        held_out = None
        if validate and group.rank == 0:
            late = (data.time[rated] >= spec.cutoff) & (data.time[rated] < examples.manifest.info["t2"])
            held_out = self.labelled(rated[late])
        return NetworkTask(
            self.net, self.config, self.labelled(train[group.rank :: group.world]), held_out, group, STARS
        )

    def fit(self, data: FitData) -> None:
        raise NotImplementedError(f"{self.config.name} is fitted by its fit_task")

    def residual(self, rows: Examples) -> Floats:
        return predict(self.net, rows)

    def state(self) -> Arrays:
        return to_arrays(self.net)

    def restore(self, arrays: Arrays, data: FitData) -> None:
        from_arrays(self.net, arrays)
