"""Rankers of many outcomes: their fit is the networks', their click is the ranker's logit."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from llmrec.config.data.outcomes import CLICK, TaskConfig
from llmrec.features.dataset.rows import Examples
from llmrec.models.attribution import Doubles
from llmrec.models.networks.fit_task import Metrics
from llmrec.models.rankers.multitask.config import MultiTaskConfig
from llmrec.models.rankers.multitask.network import OutcomesNetwork
from llmrec.models.rankers.network_ranker import NetworkRanker, Target, predict
from llmrec.workers.process_group import ProcessGroup

Floats = npt.NDArray[np.float32]


class MultiTaskRanker(NetworkRanker):
    """A `body` with an output for each outcome."""

    config: MultiTaskConfig
    net: OutcomesNetwork

    @property
    def outcomes(self) -> tuple[TaskConfig, ...]:
        return self.config.outcomes

    @property
    def worth(self) -> Mapping[str, float]:
        return {} if set(self.config.order) == {CLICK} else self.config.order

    def make_net(self) -> OutcomesNetwork:
        return OutcomesNetwork.of(self.config, type(self).body, self.context)

    def target(self) -> Target:
        return Target("total", -1, self.net.loss, self._measured, self._labels)

    def prepare(self, rows: Examples, group: ProcessGroup) -> None:
        self.net.standardise(torch.as_tensor(self._labels(rows)), group)

    def _labels(self, rows: Examples) -> Floats:
        """(N, K); of a click alone it is whatever is the rows' label."""
        return rows.outcomes if len(self.outcomes) > 1 or rows.outcomes.shape[1] else rows.click[:, None]

    @torch.inference_mode()
    def _measured(self, labels: Floats, outputs: Floats) -> Metrics:
        """The mean loss of each outcome over the rows that know it, and what they come to with fixed weights."""
        given = torch.as_tensor(labels)
        sums = self.net.losses(torch.as_tensor(outputs), given).sum(dim=0).numpy()
        means = sums / np.maximum((~given.isnan()).sum(dim=0).numpy(), 1)
        found = {f"{task.name}_loss": float(mean) for task, mean in zip(self.outcomes, means, strict=True)}
        return {"total": float(means @ self.net.fixed.numpy()), **found}

    def _outputs(self, rows: Examples) -> Floats:
        return predict(self.net, rows).reshape(len(rows), len(self.outcomes))

    def logits(self, rows: Examples) -> Floats:
        return self._outputs(rows)[:, 0]

    @torch.inference_mode()
    def predictions(self, rows: Examples) -> dict[str, Floats]:
        found = self.net.predictions(torch.as_tensor(self._outputs(rows))).numpy()
        return {task.name: found[:, place] for place, task in enumerate(self.outcomes)}

    def attributions(self, rows: Examples) -> dict[str, Doubles]:
        """Of the click."""
        return self.attributed(rows, self._first)

    def _first(self, *inputs: Tensor) -> Tensor:
        outputs: Tensor = self.net.body(*inputs)
        return outputs[:, 0]
