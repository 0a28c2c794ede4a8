"""Robust output warping, so that one terrible point does not flatten the surrogate."""

from __future__ import annotations

import torch
from torch import Tensor


def warp_objective(y: Tensor) -> Tensor:
    """Monotone map of the told objectives (maximised) for the surrogate, length n to n.

    The better half is only shifted and scaled, so that improvements keep their size; below the
    median m, with r the distance from m to the mean of the better half, values are compressed to
    m - r log(1 + (m - y) / r). The result is standardised. Unchanged by y -> a y + b, a > 0.
    """
    median = y.median()
    better = y[y >= median]
    r = (better - median).mean()
    if r <= 0:
        r = (median - y).mean()
    if r <= 0:
        return torch.zeros_like(y)
    distance = (median - y) / r
    u = torch.where(distance > 0, -torch.log1p(distance.clamp(min=0)), -distance)
    return (u - u.mean()) / u.std(correction=0).clamp(min=1e-12)
