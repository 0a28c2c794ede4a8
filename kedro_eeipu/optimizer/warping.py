"""Output warping: from the objective's own scale to the logarithm of the distance to the best.

    w_r(y) = -log(1 + (max y - y) / r)

is linear in y where the distance to the best is far below r and logarithmic far above, so a finite
r keeps one terrible point, or values that span orders of magnitude, from flattening the surrogate
where it matters. r is infinite (no warping), four times the median distance, or that itself,
whichever has the highest evidence: the posterior density of the surrogate's fit, times the
derivative of the warping, which makes the densities of different scales comparable. The last has to
be e^5 times as likely as the others: it makes much of little differences near the best value, which
is a lucky one, and then promises improvements that are not there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

__all__ = ["Warped", "warpings"]

# r in medians of the distance, with the logarithm of the prior density.
_BENDS = ((4.0, 0.0), (1.0, -5.0))


@dataclass(frozen=True)
class Warped:
    """Targets for a surrogate.

    Args:
        y: `n`, with mean 0 and standard deviation 1 (all 0 where the objective is constant).
        log_slope: `n`, log of the derivative of the warping at each point.
        log_prior: log of the prior density of the warping.
        centre: what was subtracted from the warped objectives,
        spread: and what then divided them.
        bend: r; infinite where there is no warping.
        best: max y.
    """

    y: Tensor
    log_slope: Tensor
    log_prior: float = 0.0
    centre: float = 0.0
    spread: float = 1.0
    bend: float = math.inf
    best: float = 0.0

    def unwarp(self, y: Tensor) -> Tensor:
        """Targets in the objective's own unit."""
        warped = y * self.spread + self.centre
        if math.isinf(self.bend):
            return warped
        return self.best - self.bend * torch.expm1(-warped)


def warpings(y: Tensor) -> list[Warped]:
    """Candidate warpings of objectives `y`, `n`; the same for a y + b, a > 0."""
    candidates = [_standardise(y, torch.zeros_like(y))]
    distance = y.max() - y
    if distance.median() > 0:
        for medians, log_prior in _BENDS:
            r = medians * distance.median()
            warped = -torch.log1p(distance / r)
            target = _standardise(warped, warped - r.log())
            bend, best = float(r), float(y.max())
            candidates.append(replace(target, log_prior=log_prior, bend=bend, best=best))
    return candidates


def _standardise(y: Tensor, log_slope: Tensor) -> Warped:
    scale = y.std(correction=0).clamp(min=1e-12)
    centre = y.mean()
    return Warped(
        (y - centre) / scale, log_slope - scale.log(), centre=float(centre), spread=float(scale)
    )
