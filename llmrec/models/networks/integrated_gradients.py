"""Integrated gradients (Sundararajan et al., ICML 2017) of a network, from the mean row of a list."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

#: Nodes of the Gauss-Legendre rule along the path: the next more, while what they miss of the outputs differs between
#: rows by more than MISSED of what the outputs do.
STEPS, MISSED = (16, 32, 64), 0.01


def integrated_gradients(net: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What each number of the inputs, (N, …) each, adds to the outputs (N,), relative to the inputs' means over N.

    A row's attributions add up to its output minus that at the means, up to the error of the quadrature.
    """
    inputs = tuple(x.detach() for x in inputs)
    with torch.no_grad():
        outputs = net(*inputs)
    for steps in STEPS:
        found = _along(net, inputs, steps)
        rest = outputs - torch.cat([part.flatten(1) for part in found], dim=1).sum(dim=1)
        if _spread(rest) <= MISSED * _spread(outputs):
            break
    return found


def _spread(values: Tensor) -> float:
    return float(values.max() - values.min()) if len(values) else 0.0


def _along(net: Callable[..., Tensor], inputs: tuple[Tensor, ...], steps: int) -> tuple[Tensor, ...]:
    """By `steps` nodes between the means and the inputs."""
    means = tuple(x.mean(dim=0, keepdim=True) for x in inputs)
    total = [torch.zeros_like(x) for x in inputs]
    for node, weight in zip(*np.polynomial.legendre.leggauss(steps), strict=True):
        share = (float(node) + 1) / 2
        points = [(m + share * (x - m)).requires_grad_() for x, m in zip(inputs, means, strict=True)]
        gradients = torch.autograd.grad(net(*points).sum(), points, materialize_grads=True)  # zero of what is not read
        for sum_, gradient in zip(total, gradients, strict=True):
            sum_ += float(weight) / 2 * gradient
    return tuple((x - m) * g for x, m, g in zip(inputs, means, total, strict=True))
