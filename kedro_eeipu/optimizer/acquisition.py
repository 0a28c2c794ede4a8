"""EEIPU: expected improvement per expected unit of cost, memory included.

    EEIPU(x) = EI(x) * E[1 / C(x)]^eta,     C(x) = sum over run stages of c_s + load seconds

used as log EI(x) + eta * log E[1/C(x)]. In the paper eta is the share of the budget that is left.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kedro_eeipu.optimizer.inverse_cost import log_inverse_cost
from kedro_eeipu.optimizer.surrogates import Surrogates

__all__ = ["EEIPU", "log_expected_improvement"]

_COARSE_SAMPLES = 32
_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
_SQRT_PI_OVER_2 = math.sqrt(math.pi / 2)


def log_expected_improvement(mean: Tensor, deviation: Tensor, best: float) -> Tensor:
    """log E[max(f - best, 0)] for normal f, stable far below `best`; elementwise.

    With u = (mean - best) / deviation, EI = deviation * (phi(u) + u Phi(u)). For u < -1 the two
    terms cancel, so phi is taken out: phi(u) (1 - |u| R(|u|)), R the Mills ratio, by erfcx; for
    u < -1e3 1 - |u| R(|u|) = 1 / u^2 to machine precision (Ament et al., 2023).
    """
    u = (mean - best) / deviation
    near = u.clamp(min=-1)
    density = torch.exp(-0.5 * near * near - _LOG_SQRT_2PI)
    log_near = torch.log(density + near * torch.special.ndtr(near))
    far = -u.clamp(min=-1e3, max=-1)
    mills = _SQRT_PI_OVER_2 * torch.special.erfcx(far / math.sqrt(2))
    log_far = torch.log1p(-far * mills)
    furthest = -2 * torch.log(-u.clamp(max=-1e3))
    tail = -0.5 * u * u - _LOG_SQRT_2PI + torch.where(u < -1e3, furthest, log_far)
    return torch.log(deviation) + torch.where(u > -1, log_near, tail)


class EEIPU:
    """log EI + eta * log E[1/C] for rows that each pay for their own set of stages.

    Args:
        surrogates: the objective first, then log cost per stage.
        best: the objective's value to improve on, in the unit of its surrogate.
        eta: exponent of E[1/C], in [0, 1].
        samples: `Q x K`, from `inverse_cost.base_samples`.
    """

    def __init__(self, surrogates: Surrogates, best: float, eta: float, samples: Tensor) -> None:
        self.surrogates = surrogates
        self.best = best
        self.eta = eta
        self.samples = samples

    def coarse(self) -> EEIPU:
        """The same function from fewer samples, good enough to choose starting points."""
        samples = self.samples[:_COARSE_SAMPLES]
        return EEIPU(self.surrogates, self.best, self.eta, samples)

    def parts(self, features: Tensor, share: Tensor, load: Tensor) -> tuple[Tensor, Tensor]:
        """log EI and log E[1/C], each `B`.

        Args:
            features: `B x D`.
            share: `B x K`, share of each stage's cost that is paid, see `log_inverse_cost`.
            load: `B`, seconds spent on loading reused outputs.
        """
        mean, deviation = self.surrogates.posterior(features)
        log_ei = log_expected_improvement(mean[0], deviation[0], self.best)
        log_inverse = log_inverse_cost(mean[1:].T, deviation[1:].T, share, load, self.samples)
        return log_ei, log_inverse

    def __call__(self, features: Tensor, share: Tensor, load: Tensor) -> Tensor:
        """The acquisition value of each row, `B`; arguments as for `parts`."""
        log_ei, log_inverse = self.parts(features, share, load)
        return log_ei + self.eta * log_inverse
