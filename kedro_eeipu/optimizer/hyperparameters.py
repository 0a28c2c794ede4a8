"""Hyperparameters of the surrogates: priors and the fit that maximises the posterior density.

In plain torch with an analytic gradient: with a few hundred points a library's overhead would be
most of the time. The model is that of `surrogates.py`:

    K = sum_c o_c k(r_c) + sum_s e_s [same execution of stage s] + sum_f v_f m_f m_f' + noise I,
    y ~ N(constant, K)

Notation:

==========  =======================================================================
n           training points
P           pairs of different training points, n (n - 1) / 2
d           columns of x
C, S        kernel components; stages whose executions have a random effect
k           columns that some component sees; only they have a lengthscale to fit
l           lengthscales, k
o           outputscales, C
e           execution scales, S
m, v        what related objectives let expect, F x n, and the variances of their slopes, F
theta       log of (l, o, noise, e, v), the k + C + 1 + S + F numbers that are fitted
r2          squared distance of a pair as a component sees it, C x P
t           sqrt(5 r2): Matern-5/2 is (1 + t + t^2 / 3) exp(-t)
K, L        covariance of y, n x n, and its Cholesky factor
a           K^-1 (y - constant), n
==========  =======================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

__all__ = [
    "BOUNDS",
    "JITTER",
    "SQRT5",
    "Gamma",
    "Hyperparameters",
    "column_shares",
    "fit_hyperparameters",
    "fitted_points",
]

SQRT5 = math.sqrt(5.0)
JITTER = 1e-8
# Hyperparameters are fitted on at most this many points; predictions use all.
_MAX_FIT_POINTS = 150
_MAX_ITERATIONS = 50
# Lengthscales of components of up to this many columns are those of the kernel as it stands.
_UNSCALED_COLUMNS = 2
BOUNDS = {
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
        density: np.ndarray = (self.concentration - 1) * log_v - self.rate * np.exp(log_v)
        return density

    def slope(self, log_v: np.ndarray) -> np.ndarray:
        slope: np.ndarray = (self.concentration - 1) - self.rate * np.exp(log_v)
        return slope

    @property
    def log_start(self) -> float:
        """Logarithm of the mean, where the fit starts."""
        return math.log(self.concentration / self.rate)


# The priors of BoTorch up to 0.11. The prior of further components peaks at zero: none of them
# unless the data support one.
LENGTHSCALE_PRIOR = Gamma(3.0, 6.0)
OUTPUTSCALE_PRIOR = Gamma(2.0, 0.15)
FURTHER_OUTPUTSCALE_PRIOR = Gamma(1.0, 1.0)
NOISE_PRIOR = Gamma(1.1, 0.05)
# This one peaks at zero, too: no random effect unless the data support one.
EXECUTION_SCALE_PRIOR = Gamma(1.0, 20.0)
# Wide: where all trials are good, small differences of a related objective may mean much.
SLOPE_PRIOR = Gamma(1.0, 0.1)


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
        slope_scale: `F`, variance of the slope on what each related objective lets expect.
    """

    lengthscale: Tensor
    outputscale: Tensor
    noise: float
    constant: float
    log_posterior: float = 0.0
    execution_scale: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))
    slope_scale: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))


def _squared_differences(
    features: Tensor, feature_column: Tensor, d: int, first: Tensor, second: Tensor
) -> Tensor:
    """Per column of x between the points `first` and `second`, `d x pairs`."""
    difference = (features[first] - features[second]).square().T
    out = torch.zeros(d, len(first), dtype=features.dtype)
    return out.index_add_(0, feature_column, difference)


def column_shares(groups: Sequence[frozenset[int]], d: int) -> Tensor:
    """Weight of each column in the squared distance of each component, `C x d`."""
    member = _membership(groups, d)
    return member * (_UNSCALED_COLUMNS / member.sum(1, keepdim=True).clamp(min=1)).clamp(max=1)


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
    expected: Tensor | None = None,
    lengthscale: Tensor | None = None,
) -> Hyperparameters:
    """MAP hyperparameters; the constant is profiled out in closed form.

    Args:
        features: `n x D`.
        y: `n`, standardised targets.
        feature_column: `D`, the column of x that each feature belongs to.
        groups: the columns that each of the C kernel components sees; others have no effect.
        d: number of columns of x.
        start: of a similar fit, to start from; by default the middle of the priors.
        executions: the columns that reach each of the S stages whose executions have an effect.
        expected: `n x F`, what each of F related objectives lets expect.
        lengthscale: `d`, to be kept as they are; by default they are fitted.
    """
    expected = features[:, :0] if expected is None else expected
    if len(y) > _MAX_FIT_POINTS:
        keep = fitted_points(len(y))
        features, y, expected = features[keep], y[keep], expected[keep]
    posterior = _Posterior(features, y, feature_column, groups, d, executions, expected.T)
    first, bounds = posterior.start(start), posterior.bounds
    if lengthscale is not None:
        kept = lengthscale[posterior.used].log().numpy()
        first[posterior.lengthscales] = kept
        bounds[posterior.lengthscales] = [(v, v) for v in kept.tolist()]
    result = minimize(
        posterior.negative_log_density,
        first,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": _MAX_ITERATIONS, "ftol": 1e-5},
    )
    return posterior.hyperparameters(result.x)


class _Posterior:
    """The posterior density of one surrogate's hyperparameters, as a function of theta.

    Args: as for `fit_hyperparameters`, but for `expected`, which is m.
    """

    def __init__(
        self,
        features: Tensor,
        y: Tensor,
        feature_column: Tensor,
        groups: Sequence[frozenset[int]],
        d: int,
        executions: Sequence[frozenset[int]],
        expected: Tensor | None = None,
    ) -> None:
        self.y, self.d = y, d
        self.components = len(groups)
        # What a pair of points has in common does not depend on theta.
        self.first, self.second = torch.triu_indices(len(y), len(y), offset=1)
        differences = _squared_differences(features, feature_column, d, self.first, self.second)
        self.same = (_membership(executions, d) @ differences == 0).to(torch.float64)  # S x P
        shares = column_shares(groups, d)
        self.used = shares.sum(0).nonzero()[:, 0]
        self.differences = differences[self.used]  # k x P
        self.shares = shares[:, self.used]  # C x k
        # Where each kind of hyperparameter is in theta.
        k, o = len(self.used), len(self.used) + self.components
        self.lengthscales = slice(0, k)
        self.outputscales = slice(k, o)
        self.noise = o
        self.execution_scales = slice(o + 1, o + 1 + len(executions))
        e = o + 1 + len(executions)
        expected = features.T[:0] if expected is None else expected
        self.slope_scales = slice(e, e + len(expected))
        self.size = e + len(expected)
        self.squares = expected.square()  # F x n
        self.products = expected[:, self.first] * expected[:, self.second]  # F x P
        self.priors = _priors(k, self.components, len(executions), len(expected))

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Lower and upper bound of each entry of theta."""
        variances = self.slope_scales.start - self.noise  # of the noise and of the executions
        return (
            [BOUNDS["lengthscale"]] * len(self.used)
            + [BOUNDS["outputscale"]] * self.components
            + [BOUNDS["noise"]] * variances
            + [BOUNDS["outputscale"]] * len(self.squares)
        )

    def start(self, like: Hyperparameters | None) -> np.ndarray:
        """Where a fit starts: at those of a similar one, else at the middle of the priors."""
        theta = np.empty(self.size)
        if like is None:
            theta[self.lengthscales] = LENGTHSCALE_PRIOR.log_start
            theta[self.outputscales] = -math.log(self.components)
            theta[self.noise] = math.log(1e-2)
            theta[self.execution_scales] = math.log(1e-2)
        else:
            theta[self.lengthscales] = like.lengthscale[self.used].log().numpy()
            theta[self.outputscales] = like.outputscale.log().numpy()
            theta[self.noise] = math.log(like.noise)
            theta[self.execution_scales] = like.execution_scale.log().numpy()
        theta[self.slope_scales] = 0.0
        return theta

    def hyperparameters(self, theta: np.ndarray) -> Hyperparameters:
        """Those that theta stands for, with the constant that suits them best."""
        value, _ = self.negative_log_density(theta)
        lengthscale = torch.ones(self.d, dtype=torch.float64)
        lengthscale[self.used] = torch.from_numpy(np.exp(theta[self.lengthscales]))
        return Hyperparameters(
            lengthscale,
            outputscale=torch.from_numpy(np.exp(theta[self.outputscales])),
            noise=math.exp(theta[self.noise]),
            constant=self._constant(theta),
            log_posterior=-value,
            execution_scale=torch.from_numpy(np.exp(theta[self.execution_scales])),
            slope_scale=torch.from_numpy(np.exp(theta[self.slope_scales])),
        )

    def negative_log_density(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """-log p(theta | y) up to a constant, and its gradient; 1e10 where K is singular."""
        kernel = self._kernel(theta)
        if kernel is None:
            return 1e10, np.zeros_like(theta)
        inverse = kernel.inverse
        residual = self.y - _best_constant(inverse, self.y)
        a = inverse @ residual
        value = 0.5 * float(residual @ a) + float(kernel.factor.diagonal().log().sum())
        # d value / d K = (K^-1 - a a') / 2, then the chain rule down to theta. An entry of `slope`
        # stands for both triangles of the symmetric K, `trace` for its diagonal. Further,
        # d value / d r2 = slope (-5/6) (1 + t) exp(-t) o,  d r2 / d log l = -2 differences / l^2.
        slope = inverse[self.first, self.second] - a[self.first] * a[self.second]
        trace = 0.5 * float(inverse.diagonal().sum() - a @ a)
        slope_r2 = (-5 / 6) * slope * (1 + kernel.t) * kernel.decay
        slope_l2 = ((self.shares.T @ slope_r2) * self.differences).sum(-1)
        gradient = np.empty_like(theta)
        gradient[self.lengthscales] = (-2 * kernel.weight * slope_l2).numpy()
        gradient[self.outputscales] = (kernel.parts @ slope + kernel.outputscale * trace).numpy()
        gradient[self.noise] = kernel.noise * trace
        gradient[self.execution_scales] = (
            kernel.execution_scale * (self.same @ slope + trace)
        ).numpy()
        if len(self.squares):
            own = 0.5 * self.squares @ (inverse.diagonal() - a * a)
            gradient[self.slope_scales] = (
                kernel.slope_scale * (self.products @ slope + own)
            ).numpy()
        for prior, part in self.priors:
            value -= float(prior.log_density(theta[part]).sum())
            gradient[part] -= prior.slope(theta[part])
        return value, gradient

    def _constant(self, theta: np.ndarray) -> float:
        kernel = self._kernel(theta)
        return 0.0 if kernel is None else _best_constant(kernel.inverse, self.y)

    def _kernel(self, theta: np.ndarray) -> _Kernel | None:
        """K at theta and what it is made of, ``None`` where it is singular."""
        weight = torch.from_numpy(np.exp(-2 * theta[self.lengthscales]))
        outputscale = torch.from_numpy(np.exp(theta[self.outputscales]))
        execution_scale = torch.from_numpy(np.exp(theta[self.execution_scales]))
        slope_scale = torch.from_numpy(np.exp(theta[self.slope_scales]))
        noise = math.exp(theta[self.noise])
        t = SQRT5 * ((self.shares * weight) @ self.differences).clamp(min=0).sqrt()
        decay = outputscale[:, None] * torch.exp(-t)
        parts = (1 + t + t * t / 3) * decay
        n = len(self.y)
        covariance = torch.zeros(n, n, dtype=torch.float64)
        # The Cholesky factorisation reads the lower triangle only.
        covariance[self.second, self.first] = parts.sum(0) + execution_scale @ self.same
        variance = float(outputscale.sum() + execution_scale.sum())
        covariance.diagonal().fill_(variance * (1 + JITTER) + noise)
        if len(self.squares):
            covariance[self.second, self.first] += slope_scale @ self.products
            covariance.diagonal().add_(slope_scale @ self.squares)
        factor, failed = torch.linalg.cholesky_ex(covariance)
        if int(failed):
            return None
        inverse = torch.cholesky_inverse(factor)
        return _Kernel(
            weight,
            outputscale,
            execution_scale,
            slope_scale,
            noise,
            t,
            decay,
            parts,
            factor,
            inverse,
        )


@dataclass(frozen=True)
class _Kernel:
    """K at one theta, and what it is made of.

    Args:
        weight: `k`, 1 / l^2.
        outputscale: `C`.
        execution_scale: `S`.
        slope_scale: `F`.
        noise: variance of the observations.
        t: `C x P`.
        decay: `C x P`, o exp(-t).
        parts: `C x P`, each component's part of K.
        factor: L, `n x n`.
        inverse: K^-1, `n x n`.
    """

    weight: Tensor
    outputscale: Tensor
    execution_scale: Tensor
    slope_scale: Tensor
    noise: float
    t: Tensor
    decay: Tensor
    parts: Tensor
    factor: Tensor
    inverse: Tensor


def _best_constant(inverse: Tensor, y: Tensor) -> float:
    """The prior mean of highest density, given K: 1' K^-1 y / 1' K^-1 1."""
    inverse_ones = inverse.sum(-1)
    return float((inverse_ones @ y) / inverse_ones.sum())


def _membership(groups: Sequence[frozenset[int]], d: int) -> Tensor:
    """Which columns each group has, 0 or 1, `S x d`."""
    member = torch.zeros(len(groups), d, dtype=torch.float64)
    for s, group in enumerate(groups):
        member[s, sorted(group)] = 1.0
    return member


def _priors(
    k: int, components: int, stages: int = 0, related: int = 0
) -> list[tuple[Gamma, slice]]:
    """The priors, each with its place in theta."""
    o = k + components
    e = o + 1 + stages
    return [
        (LENGTHSCALE_PRIOR, slice(0, k)),
        (OUTPUTSCALE_PRIOR, slice(k, k + 1)),
        (FURTHER_OUTPUTSCALE_PRIOR, slice(k + 1, o)),
        (NOISE_PRIOR, slice(o, o + 1)),
        (EXECUTION_SCALE_PRIOR, slice(o + 1, e)),
        (SLOPE_PRIOR, slice(e, e + related)),
    ]
