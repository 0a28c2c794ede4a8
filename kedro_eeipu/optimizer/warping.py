"""Output warping: from the objective's own scale to the logarithm of the distance to the best.

    w_r(y) = -log(1 + (max y - y) / r)

is linear in y where the distance to the best is far below r and logarithmic far above, so a finite
r keeps one terrible point, or values that span orders of magnitude, from flattening the surrogate
where it matters. Whether r is the median distance or infinite (no warping) is decided by the
evidence of the surrogate: the posterior density of its fit, times the derivative of the warping,
which makes the densities of different scales comparable.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Warped:
    """Targets for a surrogate.

    Args:
        y: `n`, with mean 0 and standard deviation 1 (all 0 where the objective is constant).
        log_slope: log of the derivative of the warping, summed over the points.
    """

    y: Tensor
    log_slope: float


def warpings(y: Tensor) -> list[Warped]:
    """Candidate warpings of objectives `y`, `n`; the same for a y + b, a > 0."""
    plain = _standardise(y, torch.zeros_like(y))
    distance = y.max() - y
    r = distance.median()
    if r <= 0:
        return [plain]
    warped = -torch.log1p(distance / r)
    return [plain, _standardise(warped, warped - r.log())]


def _standardise(y: Tensor, log_slope: Tensor) -> Warped:
    scale = y.std(correction=0).clamp(min=1e-12)
    return Warped((y - y.mean()) / scale, float(log_slope.sum() - len(y) * scale.log()))
