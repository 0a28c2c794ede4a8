"""E[1/C] for a sum of log-normal stage costs.

C = sum over running stages s of exp(mu_s + sigma_s Z_s) + load seconds, Z_s independent standard
normal. There is no closed form.

- `log_inverse_cost` averages 1/C over fixed Sobol points with **one dimension per stage**. Sharing
  one dimension among the stages makes all costs rise and fall together and overstates E[1/C].
  The points are moved by -h, h_s = sigma_s times the share of stage s in the sum of the medians,
  and weighted by exp(h z - |h|^2 / 2): for one running stage the average is then exact, for more it
  is about five times closer than without.
- `inverse_cost_by_quadrature` uses 1/C = integral over t > 0 of exp(-t C), so that
  E[1/C] = integral of prod_s E[exp(-t c_s)] exp(-t load): a one-dimensional integral of
  one-dimensional integrals, exact for all practical purposes, without gradients.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

__all__ = ["base_samples", "inverse_cost_by_quadrature", "log_inverse_cost"]

SAMPLES = 256


@lru_cache(maxsize=64)
def base_samples(stages: int, samples: int = SAMPLES) -> Tensor:
    """Standard normal Sobol points, `samples x stages`."""
    uniform = SobolEngine(stages, scramble=True, seed=1).draw(samples, dtype=torch.float64)
    return math.sqrt(2) * torch.erfinv((2 * uniform - 1).clamp(-1 + 1e-12, 1 - 1e-12))


def log_inverse_cost(
    mean: Tensor, deviation: Tensor, share: Tensor, load: Tensor, samples: Tensor
) -> Tensor:
    """log E[1 / C], `B`; differentiable in `mean` and `deviation`.

    Args:
        mean: `B x K`, mean of log seconds per stage.
        deviation: `B x K`, its standard deviation.
        share: `B x K`, the share of each stage's cost that is paid: 1 when it runs, 0 when it is
            reused, between when it is being computed elsewhere. A row pays for something, or loads.
        load: `B`, seconds spent on loading reused outputs.
        samples: `Q x K`, from `base_samples`.
    """
    # Seconds in units of each row's largest median, so that exp neither overflows nor vanishes.
    unit = torch.maximum(mean.detach().amax(-1), load.log())
    relative = mean - unit[:, None]
    relative_load = load * torch.exp(-unit)
    medians = relative.exp() * share
    h = deviation * medians / (medians.sum(-1) + relative_load)[:, None]
    at = (relative - deviation * h)[:, None, :] + deviation[:, None, :] * samples
    total = torch.einsum("bqk,bk->bq", at.exp(), share) + relative_load[:, None]
    weight = torch.exp(h @ samples.T - 0.5 * h.square().sum(-1, keepdim=True))
    return (weight / total).mean(-1).log() - unit


def inverse_cost_by_quadrature(mean: Tensor, deviation: Tensor, load: float = 0.0) -> float:
    """E[1/C] for `K` running stages, to a relative error of about 1e-4.

    Args:
        mean: `K`, mean of log seconds.
        deviation: `K`, standard deviation of log seconds.
        load: seconds added to the sum.
    """
    z = torch.linspace(-9, 9, 361, dtype=torch.float64)
    weight = torch.exp(-0.5 * z * z)
    weight = weight / weight.sum()
    cost = torch.exp(mean[:, None] + deviation[:, None] * z)
    centre = -float(mean.max())
    log_t = torch.linspace(centre - 25, centre + 25, 1001, dtype=torch.float64)
    t = log_t.exp()
    laplace = (torch.exp(-t[:, None, None] * cost) * weight).sum(-1).prod(-1)
    return float(torch.trapezoid(laplace * torch.exp(-t * load) * t, log_t))
