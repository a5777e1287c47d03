"""A loss of many texts' vectors, backpropagated exactly over workers and micro-batches.

Every worker makes the vectors of its own texts, all get everybody's, and each takes the same loss of all of them; its
gradient by each vector then goes back through the network where that vector was made. So a contrastive batch has the
same negatives on any number of workers. With `cached`, activations are made anew, a micro-batch at a time (Gao et al.,
"Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from llmrec.tuning.network import TextNetwork
from llmrec.workers.process_group import ProcessGroup

Ids = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Passes:
    """How texts go through the network: by whom, and so many at once."""

    group: ProcessGroup
    micro: int
    cached: bool = False

    def chunks(self, ids: Ids) -> list[npt.NDArray[np.intp]]:
        """Rows of this worker's texts, of like lengths together, so that little is padded."""
        order = np.argsort([-len(row) for row in ids], kind="stable")[self.group.rank :: self.group.world]
        return [order[at : at + self.micro] for at in range(0, len(order), self.micro)]


def encode(network: TextNetwork, ids: Ids, passes: Passes) -> Tensor:
    """(n, dim) vectors of all texts, without gradients; each worker makes its share and gets all."""
    values = torch.zeros(len(ids), network.dim, device=passes.group.device)
    with torch.no_grad():
        for rows in passes.chunks(ids):
            values[rows] = network([ids[row] for row in rows])
    return passes.group.sum(values)


def backward(network: TextNetwork, ids: Ids, loss_of: Callable[[Tensor], Tensor], passes: Passes) -> float:
    """Add the gradient of `loss_of(vectors (n, dim))` to the weights; the loss.

    What `loss_of` itself depends on gets its gradient on rank 0 alone, so that a sum over workers has it once.
    """
    chunks = passes.chunks(ids)
    values = torch.zeros(len(ids), network.dim, device=passes.group.device)
    made, drawn = list[Tensor](), list[Tensor]()
    for rows in chunks:
        drawn.append(torch.get_rng_state())
        with torch.set_grad_enabled(not passes.cached):
            made.append(network([ids[row] for row in rows]))
        values[rows] = made[-1].detach()
    leaf = passes.group.sum(values).requires_grad_()
    loss = loss_of(leaf)
    if passes.group.rank:
        leaf.grad = torch.autograd.grad(loss, leaf)[0]
    else:
        loss.backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    for rows, vectors, state in zip(chunks, made, drawn, strict=True):
        if passes.cached:
            torch.set_rng_state(state)  # the same dropout as before
            vectors = network([ids[row] for row in rows])
        vectors.backward(leaf.grad[rows])  # type: ignore[no-untyped-call]
    return float(loss.detach())
