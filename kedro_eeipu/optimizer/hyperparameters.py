"""Hyperparameters of the surrogates: priors and the fit that maximises the posterior density.

In plain torch with an analytic gradient: with a few hundred points a library's overhead would be
most of the time. The kernel and the notation are those of `surrogates.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

SQRT5 = math.sqrt(5.0)
JITTER = 1e-8
# Hyperparameters are fitted on at most this many points; predictions use all.
_MAX_FIT_POINTS = 150
_MAX_ITERATIONS = 50
# Lengthscales of components of up to this many columns are those of the kernel as it stands.
_UNSCALED_COLUMNS = 2
_BOUNDS = {
    "lengthscale": (math.log(5e-3), math.log(1e3)),
    "outputscale": (math.log(1e-3), math.log(1e3)),
    "noise": (math.log(1e-6), math.log(10.0)),
}


@dataclass(frozen=True)
class Gamma:
    """Gamma prior, by concentration and rate, with its derivative in the logarithm."""

    concentration: float
    rate: float

    def log_density(self, log_v: np.ndarray) -> np.ndarray:
        return (self.concentration - 1) * log_v - self.rate * np.exp(log_v)

    def slope(self, log_v: np.ndarray) -> np.ndarray:
        return (self.concentration - 1) - self.rate * np.exp(log_v)

    @property
    def log_start(self) -> float:
        """Logarithm of the mean, where the fit starts."""
        return math.log(self.concentration / self.rate)


# The priors of BoTorch up to 0.11; components after the first are there only if the data want them.
LENGTHSCALE_PRIOR = Gamma(3.0, 6.0)
OUTPUTSCALE_PRIOR = Gamma(2.0, 0.15)
FURTHER_OUTPUTSCALE_PRIOR = Gamma(1.0, 1.0)
NOISE_PRIOR = Gamma(1.1, 0.05)
# Chance, too, is there only if the data want it.
EXECUTION_SCALE_PRIOR = Gamma(1.0, 20.0)


@dataclass(frozen=True)
class Hyperparameters:
    """Of one surrogate, for standardised targets.

    Args:
        lengthscale: `d`; those of columns in no group have no effect.
        outputscale: `C`, variance of each kernel component.
        noise: variance of the observations.
        constant: prior mean.
        log_posterior: of the fit, up to a constant.
        execution_scale: `S`, variance of the random effect of an execution of each stage.
    """

    lengthscale: Tensor
    outputscale: Tensor
    noise: float
    constant: float
    log_posterior: float = 0.0
    execution_scale: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))


def _squared_differences(
    features: Tensor, feature_column: Tensor, d: int, first: Tensor, second: Tensor
) -> Tensor:
    """Per column of x between the points `first` and `second`, `d x pairs`."""
    difference = (features[first] - features[second]).square().T
    out = torch.zeros(d, len(first), dtype=features.dtype)
    return out.index_add_(0, feature_column, difference)


def column_shares(groups: Sequence[frozenset[int]], d: int) -> Tensor:
    """Weight of each column in the squared distance of each component, `C x d`."""
    seen = _membership(groups, d)
    return seen * (_UNSCALED_COLUMNS / seen.sum(1, keepdim=True).clamp(min=1)).clamp(max=1)


def fitted_points(n: int) -> Tensor:
    """Which of n points a fit sees: all, or as many as it can afford, evenly spaced."""
    return torch.linspace(0, n - 1, min(n, _MAX_FIT_POINTS)).round().long()


def fit_hyperparameters(
    features: Tensor,
    y: Tensor,
    feature_column: Tensor,
    groups: Sequence[frozenset[int]],
    d: int,
    start: Hyperparameters | None = None,
    executions: Sequence[frozenset[int]] = (),
) -> Hyperparameters:
    """MAP hyperparameters; the constant is profiled out in closed form.

    Args:
        features: `n x D`.
        y: `n`, standardised targets.
        feature_column: `D`, the column of x that each feature belongs to.
        groups: the columns that each of the C kernel components sees.
        d: number of columns of x.
        start: of a similar fit, to start from; by default the middle of the priors.
        executions: the columns that reach each of the S stages whose executions have an effect.
    """
    shares, seen = column_shares(groups, d), _membership(executions, d)
    n, components, stages = len(y), len(groups), len(executions)
    if n > _MAX_FIT_POINTS:
        keep = fitted_points(n)
        features, y, n = features[keep], y[keep], _MAX_FIT_POINTS
    used = shares.sum(0).nonzero()[:, 0]
    k = len(used)
    first, second = torch.triu_indices(n, n, offset=1)
    differences = _squared_differences(features, feature_column, d, first, second)
    same = (seen @ differences == 0).to(torch.float64)  # S x pairs
    differences = differences[used]
    shares = shares[:, used]
    constant = 0.0
    scales, noise_at = slice(k, k + components), k + components
    effects = slice(noise_at + 1, noise_at + 1 + stages)

    def negative_log_posterior(theta: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal constant
        weight = torch.from_numpy(np.exp(-2 * theta[:k]))
        outputscale = torch.from_numpy(np.exp(theta[scales]))
        noise = math.exp(theta[noise_at])
        t = SQRT5 * ((shares * weight) @ differences).clamp(min=0).sqrt()
        decay = outputscale[:, None] * torch.exp(-t)
        kernel = (1 + t + t * t / 3) * decay
        execution_scale = torch.from_numpy(np.exp(theta[effects]))
        variance = float(outputscale.sum() + execution_scale.sum())
        covariance = torch.zeros(n, n, dtype=torch.float64)
        # the lower triangle is all that is read
        covariance[second, first] = kernel.sum(0) + execution_scale @ same
        covariance.diagonal().fill_(variance * (1 + JITTER) + noise)
        factor, failed = torch.linalg.cholesky_ex(covariance)
        if int(failed):
            return 1e10, np.zeros_like(theta)
        inverse = torch.cholesky_inverse(factor)
        inverse_ones = inverse.sum(-1)
        constant = float((inverse_ones @ y) / inverse_ones.sum())
        residual = y - constant
        a = inverse @ residual
        value = 0.5 * float(residual @ a) + float(factor.diagonal().log().sum())
        # d value / d K, then the chain rule down to the logarithms of l, outputscale, noise.
        # Pairs stand for both triangles of the symmetric K.
        slope = inverse[first, second] - a[first] * a[second]
        trace = 0.5 * float(inverse.diagonal().sum() - a @ a)
        slope_r2 = (-5 / 6) * slope * (1 + t) * decay
        gradient = np.empty_like(theta)
        gradient[:k] = (-2 * weight * ((shares.T @ slope_r2) * differences).sum(-1)).numpy()
        gradient[scales] = (kernel @ slope + outputscale * trace).numpy()
        gradient[noise_at] = noise * trace
        gradient[effects] = (execution_scale * (same @ slope + trace)).numpy()
        for prior, part in _priors(k, components, stages):
            value -= float(prior.log_density(theta[part]).sum())
            gradient[part] -= prior.slope(theta[part])
        return value, gradient

    theta = np.empty(k + components + 1 + stages)
    if start is None:
        theta[:k] = LENGTHSCALE_PRIOR.log_start
        theta[scales] = -math.log(components)
        theta[noise_at] = math.log(1e-2)
        theta[effects] = math.log(1e-2)
    else:
        theta[:k] = start.lengthscale[used].log().numpy()
        theta[scales] = start.outputscale.log().numpy()
        theta[noise_at] = math.log(start.noise)
        theta[effects] = start.execution_scale.log().numpy()
    bounds = [_BOUNDS["lengthscale"]] * k
    bounds += [_BOUNDS["outputscale"]] * components + [_BOUNDS["noise"]] * (1 + stages)
    result = minimize(
        negative_log_posterior,
        theta,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": _MAX_ITERATIONS, "ftol": 1e-5},
    )
    value, _ = negative_log_posterior(result.x)
    lengthscale = torch.ones(d, dtype=torch.float64)
    lengthscale[used] = torch.from_numpy(np.exp(result.x[:k]))
    outputscale = torch.from_numpy(np.exp(result.x[scales]))
    noise = math.exp(result.x[noise_at])
    execution_scale = torch.from_numpy(np.exp(result.x[effects]))
    return Hyperparameters(lengthscale, outputscale, noise, constant, -value, execution_scale)


def _membership(groups: Sequence[frozenset[int]], d: int) -> Tensor:
    """Which columns each group has, 0 or 1, `S x d`."""
    seen = torch.zeros(len(groups), d, dtype=torch.float64)
    for s, group in enumerate(groups):
        seen[s, sorted(group)] = 1.0
    return seen


def _priors(k: int, components: int, stages: int = 0) -> list[tuple[Gamma, slice]]:
    return [
        (LENGTHSCALE_PRIOR, slice(0, k)),
        (OUTPUTSCALE_PRIOR, slice(k, k + 1)),
        (FURTHER_OUTPUTSCALE_PRIOR, slice(k + 1, k + components)),
        (NOISE_PRIOR, slice(k + components, k + components + 1)),
        (EXECUTION_SCALE_PRIOR, slice(k + components + 1, k + components + 1 + stages)),
    ]
