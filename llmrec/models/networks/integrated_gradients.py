"""Integrated gradients (Sundararajan et al., ICML 2017) of a network, from the mean row of a list."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

#: Nodes of the Gauss-Legendre rule along the path.
STEPS = 16


def integrated_gradients(net: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What each number of the inputs, (N, …) each, adds to the outputs (N,), relative to the inputs' means over N.

    A row's attributions add up to its output minus that at the means, up to the error of the quadrature.
    """
    inputs = tuple(x.detach() for x in inputs)
    means = tuple(x.mean(dim=0, keepdim=True) for x in inputs)
    total = [torch.zeros_like(x) for x in inputs]
    for node, weight in zip(*np.polynomial.legendre.leggauss(STEPS), strict=True):
        share = (float(node) + 1) / 2
        points = [(m + share * (x - m)).requires_grad_() for x, m in zip(inputs, means, strict=True)]
        gradients = torch.autograd.grad(net(*points).sum(), points, materialize_grads=True)  # zero of what is not read
        for sum_, gradient in zip(total, gradients, strict=True):
            sum_ += float(weight) / 2 * gradient
    return tuple((x - m) * g for x, m, g in zip(inputs, means, total, strict=True))
