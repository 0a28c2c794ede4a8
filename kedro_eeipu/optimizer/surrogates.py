"""Gaussian processes for the objective and for the log cost of each stage.

All have a constant mean, Gaussian noise, and as kernel a sum of Matern-5/2 components. A component
sees a group of columns and has an outputscale of its own; a column's lengthscale is the same in all
components. With the groups "all columns" and "the columns that enter with stage s", the fit decides
how much of the function is a sum over stages and how much is interaction. The squared distance of
a component of many columns is divided by half their number: distances grow with the root of it, and
with priors that know nothing of it all points of a large space would be strangers to each other.

Training a model anew with hardly other parameters gives a somewhat other model, and all that is
computed from it inherits what chance made of it. So the objective has a random effect per execution
of a stage: two trials share it if the stage's output is the same in both. A smooth function alone
would take trials that share a trained model for proof that there is no noise at all.

Hyperparameters maximise the posterior density (MAP). Written out in plain torch, because fitting
and predicting with a few hundred points is otherwise dominated by overhead: the gradient of the
log density is analytic, and all surrogates predict in one batch. The posterior is that of
BoTorch's `SingleTaskGP` with the same kernel and hyperparameters.

Notation:

==========  =======================================================================
m, M        a surrogate, their number (one for the objective, one per stage)
X           features of the training points, n x D
c, C        a component of a kernel, their number
l           lengthscales, one per column of x (shared by the features of a category)
r2          squared scaled distance, sum over a component's m columns of (difference / l)^2,
            divided by m / 2 if that is more than 1
K           covariance of the noisy training targets, n x n
L           Cholesky factor of K
S           number of stages whose executions have a random effect
a           K^-1 (y - constant)
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

_SQRT5 = math.sqrt(5.0)
_JITTER = 1e-8
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


class _Matern52(torch.autograd.Function):
    """Matern-5/2 correlation of the squared distance, with a derivative that is finite at 0."""

    @staticmethod
    def forward(ctx, r2: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        t = _SQRT5 * r2.clamp(min=0).sqrt()
        decay = torch.exp(-t)
        ctx.save_for_backward(t, decay)
        return (1 + t + t * t / 3) * decay

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        t, decay = ctx.saved_tensors
        return grad * (-5 / 6) * (1 + t) * decay


def _squared_differences(
    features: Tensor, feature_column: Tensor, d: int, first: Tensor, second: Tensor
) -> Tensor:
    """Per column of x between the points `first` and `second`, `d x pairs`."""
    difference = (features[first] - features[second]).square().T
    out = torch.zeros(d, len(first), dtype=features.dtype)
    return out.index_add_(0, feature_column, difference)


def _shares(groups: Sequence[frozenset[int]], d: int) -> Tensor:
    """Weight of each column in the squared distance of each component, `C x d`."""
    seen = _membership(groups, d)
    return seen * (_UNSCALED_COLUMNS / seen.sum(1, keepdim=True).clamp(min=1)).clamp(max=1)


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
    shares, seen = _shares(groups, d), _membership(executions, d)
    n, components, stages = len(y), len(groups), len(executions)
    if n > _MAX_FIT_POINTS:
        keep = torch.linspace(0, n - 1, _MAX_FIT_POINTS).round().long()
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
        t = _SQRT5 * ((shares * weight) @ differences).clamp(min=0).sqrt()
        decay = outputscale[:, None] * torch.exp(-t)
        kernel = (1 + t + t * t / 3) * decay
        execution_scale = torch.from_numpy(np.exp(theta[effects]))
        variance = float(outputscale.sum() + execution_scale.sum())
        covariance = torch.zeros(n, n, dtype=torch.float64)
        # the lower triangle is all that is read
        covariance[second, first] = kernel.sum(0) + execution_scale @ same
        covariance.diagonal().fill_(variance * (1 + _JITTER) + noise)
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


@dataclass(frozen=True)
class TrainingData:
    """What one surrogate learns from.

    Args:
        features: `n x D`.
        y: `n` targets in their own unit.
        groups: the columns of x that each component of the kernel sees.
        offset: subtracted from `y` before, added to predictions after.
        scale: divides `y` before, multiplies predictions after.
        executions: the columns that reach each of the S stages whose executions have an effect.
    """

    features: Tensor
    y: Tensor
    groups: tuple[frozenset[int], ...]
    offset: float = 0.0
    scale: float = 1.0
    executions: tuple[frozenset[int], ...] = ()


class Surrogates:
    """M Gaussian processes that predict in one batch, each from its own training points.

    The components of all kernels form the batch; training sets are padded to the longest, and
    padding has no weight.

    Args:
        data: M training sets; an empty one predicts its offset with standard deviation `scale`
            times the root of its outputscales' sum.
        hyperparameters: one per training set.
        feature_column: `D`, the column of x that each feature belongs to.
    """

    def __init__(
        self,
        data: Sequence[TrainingData],
        hyperparameters: Sequence[Hyperparameters],
        feature_column: Tensor,
    ) -> None:
        self._data, self._hyperparameters = data, hyperparameters
        self._executions = [
            [torch.isin(feature_column, torch.tensor(sorted(columns))) for columns in p.executions]
            for p in data
        ]
        m, longest = len(data), max(len(part.y) for part in data)
        self._surrogate = torch.tensor([i for i, part in enumerate(data) for _ in part.groups])
        self._component_scale = torch.cat([h.outputscale for h in hyperparameters])[:, None, None]
        weights, inputs = [], []
        self._inverse_factor = torch.zeros(m, longest, longest, dtype=torch.float64)
        self._a = torch.zeros(m, longest, 1, dtype=torch.float64)
        for i, (part, h) in enumerate(zip(data, hyperparameters, strict=True)):
            n = len(part.y)
            root = _shares(part.groups, len(h.lengthscale)).sqrt()
            weight = (root / h.lengthscale)[:, feature_column]
            scaled = part.features * weight[:, None, :]
            weights.append(weight)
            inputs.append(torch.nn.functional.pad(scaled, (0, 0, 0, longest - n)))
            if n == 0:
                continue
            covariance = torch.zeros(n, n, dtype=torch.float64)
            for component, outputscale in zip(scaled, h.outputscale, strict=True):
                covariance += outputscale * _Matern52.apply(torch.cdist(component, component) ** 2)
            covariance += self._shared_effects(i, part.features)
            variance = float(h.outputscale.sum() + h.execution_scale.sum())
            covariance.diagonal().fill_(variance * (1 + _JITTER) + h.noise)
            inverse_factor = torch.linalg.solve_triangular(
                _cholesky(covariance), torch.eye(n, dtype=torch.float64), upper=False
            )
            residual = (part.y - part.offset) / part.scale - h.constant
            self._inverse_factor[i, :n, :n] = inverse_factor
            self._a[i, :n, 0] = inverse_factor.T @ (inverse_factor @ residual)
        self._weight = torch.cat(weights)
        self._scaled = torch.cat(inputs)
        self._norm = (self._scaled**2).sum(-1)[:, None, :]
        self._variance = _column(
            [float(h.outputscale.sum() + h.execution_scale.sum()) for h in hyperparameters]
        )
        self._constant = _column([h.constant for h in hyperparameters])
        self._offset = _column([part.offset for part in data])
        self._scale = _column([part.scale for part in data])

    def _shared_effects(self, i: int, features: Tensor) -> Tensor:
        """Covariance by executions in common with surrogate i's training points, `B x n`."""
        part, h = self._data[i], self._hyperparameters[i]
        covariance = torch.zeros(len(features), len(part.y), dtype=torch.float64)
        for at, scale in zip(self._executions[i], h.execution_scale.tolist(), strict=True):
            same = (features[:, None, at] == part.features[None, :, at]).all(-1)
            covariance += scale * same
        return covariance

    def fitted(self, i: int) -> Tensor:
        """Posterior mean of surrogate i at its own n training points, in its unit.

        From K a = y - constant without a kernel evaluation: what is left of y is its noise's part.
        """
        part, h = self._data[i], self._hyperparameters[i]
        noise = h.noise + _JITTER * float(h.outputscale.sum() + h.execution_scale.sum())
        return part.y - part.scale * noise * self._a[i, : len(part.y), 0]

    def left_out(self, i: int) -> Tensor:
        """Posterior mean of surrogate i at each of its n training points from all the others.

        y - a / diag(K^-1), with the hyperparameters as they are (Rasmussen and Williams 2006,
        equation 5.12).
        """
        part, n = self._data[i], len(self._data[i].y)
        inverse_diagonal = self._inverse_factor[i, :n, :n].square().sum(0)
        return part.y - part.scale * self._a[i, :n, 0] / inverse_diagonal

    def posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the noise-free functions, each `M x B`, own units.

        Args:
            features: `B x D`.
        """
        scaled = features * self._weight[:, None, :]
        r2 = (scaled**2).sum(-1)[:, :, None] + self._norm
        r2 = torch.baddbmm(r2, scaled, self._scaled.transpose(1, 2), alpha=-2)
        parts = self._component_scale * _Matern52.apply(r2)
        k = torch.zeros(len(self._a), *parts.shape[1:], dtype=torch.float64)
        k = k.index_add(0, self._surrogate, parts)
        for i, part in enumerate(self._data):
            if part.executions:
                k[i, :, : len(part.y)] += self._shared_effects(i, features)
        mean = self._constant + (k @ self._a)[:, :, 0]
        explained = (k @ self._inverse_factor.transpose(1, 2)).square().sum(-1)
        variance = (self._variance - explained).clamp(min=1e-10)
        return self._offset + self._scale * mean, self._scale * variance.sqrt()


def _cholesky(covariance: Tensor) -> Tensor:
    """Cholesky factor, with just as much added to the diagonal as it takes."""
    factor, failed = torch.linalg.cholesky_ex(covariance)
    jitter = _JITTER * float(covariance.diagonal().max())
    while int(failed):
        jitter *= 10
        eye = torch.eye(len(covariance), dtype=torch.float64)
        factor, failed = torch.linalg.cholesky_ex(covariance + jitter * eye)
    return factor


def _column(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]
