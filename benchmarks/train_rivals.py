"""torch-rechub's DeepFM and DSSM and RecTools' SASRec, an epoch an order, run by `.venv-rivals` for
`benchmarks.train`.

The first line of JSON on stdin says what is trained, `{"kind": "deepfm", "rows": PATH, "settings": {…}, …}`, answered
with the examples of an epoch; each line after it trains one epoch, answered with its seconds by the wall and by the
clock of the process, its loss, and the most memory that the process held so far.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

Order = dict[str, Any]
MARKS: list[tuple[float, float]] = []


@dataclass(frozen=True)
class Trained:
    """What is trained: examples of an epoch, and an epoch, which returns its seconds, CPU seconds and loss."""

    examples: int
    epoch: Callable[[], tuple[float, float, float]]


def clocked(epoch: Callable[[], float]) -> tuple[float, float, float]:
    """(seconds, CPU seconds, loss) of an epoch."""
    started, used = time.perf_counter(), time.process_time()
    loss = epoch()
    return time.perf_counter() - started, time.process_time() - used, loss


def peak_mb() -> float:
    """The most memory that this process held; `ru_maxrss` would begin with what its parent held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def answer(make: Callable[[Order], Trained]) -> None:
    """Answer orders until stdin ends, on one thread."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print goes to stderr
    torch.set_num_threads(1)
    torch.manual_seed(7)
    trained: Trained | None = None
    for line in sys.stdin:
        if trained is None:
            trained = make(json.loads(line))
            said: dict[str, float] = {"examples": trained.examples}
        else:
            seconds, cpu, loss = trained.epoch()
            said = {"seconds": seconds, "cpu": cpu, "loss": loss, "peak_mb": peak_mb()}
        print(json.dumps(said), file=answers, flush=True)


def ids(order: Order) -> tuple[Any, Any, Any]:
    """torch-rechub's features of user, item and history, this on the item's table."""
    from torch_rechub.basic.features import SequenceFeature, SparseFeature

    dim = order["dim"]
    user, item = (SparseFeature(side, order[f"n_{side}s"], dim) for side in ("user", "item"))
    return user, item, SequenceFeature("history", order["n_items"], dim, "mean", shared_with="item", padding_idx=0)


def loaded(order: Order) -> tuple[Any, int]:
    """torch-rechub's own loader of the rows; without it, batches that are tensors already."""
    from torch_rechub.utils.data import DataGenerator

    rows, size = dict(np.load(order["rows"])), order["settings"]["batch_size"]
    n = len(rows["click"])
    n -= n % size == 1  # of one row they would make no batch
    rows = {name: values[:n] for name, values in rows.items()}
    y = rows.pop("click")
    loader, *_ = DataGenerator(rows, y).generate_dataloader(batch_size=size)
    return (loader if order["loader"] else list(loader)), n


def rechub(trainer: Any, order: Order) -> Trained:
    """The epochs of one of torch-rechub's trainers."""
    batches, n = loaded(order)
    return Trained(n, lambda: clocked(lambda: trainer.train_one_epoch(batches)))


def optimised(order: Order) -> dict[str, Any]:
    """The optimiser of ours."""
    c = order["settings"]
    rates = {"lr": c["learning_rate"], "weight_decay": c["weight_decay"]}
    return {"optimizer_fn": torch.optim.AdamW, "optimizer_params": rates}


def deepfm(order: Order) -> Trained:
    """CTRTrainer's."""
    from torch_rechub.basic.features import DenseFeature
    from torch_rechub.models.ranking import DeepFM
    from torch_rechub.trainers import CTRTrainer

    c, sparse = order["settings"], list(ids(order))
    dense = DenseFeature("dense", order["dense"])
    net = DeepFM([*sparse, dense], sparse, {"dims": c["hidden"], "dropout": c["dropout"]})
    return rechub(CTRTrainer(net, **optimised(order)), order)


def two_tower(order: Order) -> Trained:
    """MatchTrainer's, list-wise: each row's positive against the batch's others."""
    from torch_rechub.basic.features import DenseFeature
    from torch_rechub.models.matching import DSSM
    from torch_rechub.trainers import MatchTrainer

    c, (user, item, history) = order["settings"], ids(order)
    of_user, of_item = (DenseFeature(f"{side}_dense", order[f"{side}_dense"]) for side in ("user", "item"))
    widths = {"dims": [*c["hidden"], c["dim"]], "dropout": c["dropout"]}
    net = DSSM([user, history, of_user], [item, of_item], dict(widths), dict(widths))
    return rechub(MatchTrainer(net, mode=2, in_batch_neg=True, **optimised(order)), order)


def lightning() -> Any:
    """RecTools' own trainer, on the CPU, and with a clock."""
    from pytorch_lightning import Trainer
    from pytorch_lightning.callbacks import LambdaCallback

    clock = LambdaCallback(on_train_epoch_start=mark, on_train_epoch_end=mark)
    return Trainer(
        accelerator="cpu", devices=1, max_epochs=1, min_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[clock],
    )  # fmt: skip


def mark(*_: Any) -> None:
    """Note when an epoch of Lightning's begins and ends."""
    MARKS.append((time.perf_counter(), time.process_time()))


def sasrec(order: Order) -> Trained:
    """RecTools' SASRec; `as_it_comes`: its default blocks and loss, the softmax over all items."""
    import pandas as pd
    from rectools import Columns
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel
    from rectools.models.nn.item_net import IdEmbeddingsItemNet
    from rectools.models.nn.transformers.net_blocks import PreLNTransformerLayers

    c, events = order["settings"], np.load(order["rows"])
    kinds = {} if order["as_it_comes"] else {
        "transformer_layers_type": PreLNTransformerLayers, "loss": "sampled_softmax",
        "n_negatives": c["sampled_negatives"],
    }  # fmt: skip
    model = SASRecModel(
        n_blocks=c["layers"], n_heads=c["heads"], n_factors=c["dim"], session_max_len=order["length"],
        batch_size=c["batch_size"], lr=c["learning_rate"], dropout_rate=c["dropout"],
        item_net_block_types=(IdEmbeddingsItemNet,), get_trainer_func=lightning, **kinds,
    )  # fmt: skip
    dataset = Dataset.construct(pd.DataFrame({
        Columns.User: events["user"], Columns.Item: events["item"], Columns.Weight: 1.0,
        Columns.Datetime: pd.to_datetime(events["time"], unit="ms"),
    }))  # fmt: skip
    targets = np.minimum(np.unique(events["user"], return_counts=True)[1] - 1, order["length"])
    return Trained(int(targets.sum()), lambda: partial_fit(model, dataset))


def partial_fit(model: Any, dataset: Any) -> tuple[float, float, float]:
    """One epoch more, as Lightning begins and ends it: what RecTools makes anew before it is no part."""
    model.fit_partial(dataset, min_epochs=1, max_epochs=1)
    began, ended = MARKS[-2:]
    loss = float(model.fit_trainer.callback_metrics[model.train_loss_name])
    return ended[0] - began[0], ended[1] - began[1], loss


if __name__ == "__main__":
    makers = {"deepfm": deepfm, "two_tower": two_tower, "sasrec": sasrec}
    answer(lambda order: makers[order["kind"]](order))
