"""Learning rates that change from step to step; where a fit stands travels in the optimiser's state."""

import math

import torch


def warm_up_cosine(done: float, warm_up: float) -> float:
    """Factor of the learning rate where the share `done` of all steps is done: a line from 0 to 1 during `warm_up`,
    then half a cosine down to 0 (Loshchilov & Hutter, ICLR 2017, without restarts)."""
    if done < warm_up:
        return done / warm_up
    rest = min((done - warm_up) / max(1 - warm_up, 1e-9), 1.0)
    return (1 + math.cos(math.pi * rest)) / 2


def advance(optimizer: torch.optim.Optimizer, rate: float, n_steps: int, warm_up: float) -> None:
    """Set the learning rates for the next of `n_steps`; how many were made is kept in the optimiser's groups."""
    for group in optimizer.param_groups:
        group["steps"] = group.get("steps", 0) + 1
        group["lr"] = rate * warm_up_cosine(group["steps"] / (n_steps + 1), warm_up)
