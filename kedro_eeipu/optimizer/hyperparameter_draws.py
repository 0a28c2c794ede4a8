"""Hyperparameters of the objective's surrogate, drawn from their posterior.

A fit is the best guess; a few dozen trials leave other ones possible. Gibbs sampling, each
hyperparameter in turn from a grid of values, with the others as they are. A lengthscale may be
infinite: a priori, its parameter is as likely to have no effect as to have one.

Notation as in `hyperparameters.py`, and:

==========  =======================================================================
g, G        a value of a grid, their number
v           values of a grid, G
==========  =======================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from kedro_eeipu.optimizer.hyperparameters import (
    EXECUTION_SCALE_PRIOR,
    FURTHER_OUTPUTSCALE_PRIOR,
    JITTER,
    LENGTHSCALE_PRIOR,
    NOISE_PRIOR,
    OUTPUTSCALE_PRIOR,
    SQRT5,
    Gamma,
    Hyperparameters,
    column_shares,
    fitted_points,
)
from kedro_eeipu.optimizer.surrogates import TrainingData

__all__ = ["draw_hyperparameters"]

Grid = tuple[float, float, int]

# Prior chance that a parameter has no effect.
_NO_EFFECT = 0.5
# Sweeps that are left out, and between draws.
_BURN_IN, _BETWEEN = 6, 2
# Where hyperparameters times the square of points are more, one sweep each and fewer points do.
_MANY, _FEW_POINTS = 300_000, 80
# Smallest and largest value of each grid, and its length.
_LENGTHSCALES, _OUTPUTSCALES = (0.05, 4.0, 9), (1e-3, 1e2, 9)
_NOISES, _EXECUTIONS = (1e-5, 3.0, 10), (1e-4, 3.0, 8)


def draw_hyperparameters(
    data: TrainingData,
    fit: Hyperparameters,
    feature_column: Tensor,
    count: int,
    generator: torch.Generator,
) -> list[Hyperparameters]:
    """So many draws; the first sweeps, which still know where they started, are left out.

    Args:
        data: Of the surrogate.
        fit: Where to start.
        feature_column: `D`, the column of x that each feature belongs to.
        count: Of the draws.
        generator: Of everything random.
    """
    size = len(fit.lengthscale) + len(data.groups) + len(data.executions)
    keep = fitted_points(len(data.y))
    many = size * len(keep) ** 2 > _MANY
    keep = keep[:: 1 + len(keep) // _FEW_POINTS] if many else keep
    data = replace(data, features=data.features[keep], y=data.y[keep])
    chain = _Chain(data, fit, feature_column, generator)
    for _ in range(1 if many else _BURN_IN):
        chain.sweep()
    drawn = []
    for _ in range(count):
        for _ in range(1 if many else _BETWEEN):
            chain.sweep()
        drawn.append(chain.state)
    return drawn


class _Chain:
    """A Markov chain over hyperparameters.

    Attributes:
        state: Where it is.
    """

    def __init__(
        self,
        data: TrainingData,
        fit: Hyperparameters,
        feature_column: Tensor,
        generator: torch.Generator,
    ) -> None:
        x, self.y = data.features, data.y
        self.state, self.generator = fit, generator
        n, d = len(x), len(fit.lengthscale)
        difference = (x[:, None] - x[None]).square()
        # Of each column between each pair of points, d x n x n.
        self.differences = torch.zeros(d, n, n, dtype=torch.float64)
        self.differences.index_add_(0, feature_column, difference.permute(2, 0, 1))
        self.shares = column_shares(data.groups, d)  # C x d
        self.used = self.shares.sum(0).nonzero()[:, 0].tolist()
        self.same = torch.zeros(len(data.executions), n, n, dtype=torch.float64)
        for s, columns in enumerate(data.executions):
            self.same[s] = (self.differences[sorted(columns)] == 0).all(0)

    def sweep(self) -> None:
        """Draw each hyperparameter again."""
        parts = self._correlations(self.state.lengthscale)
        for j in self.used:
            parts = self._move_lengthscale(j, parts)
        for c in range(len(self.shares)):
            prior = FURTHER_OUTPUTSCALE_PRIOR if c else OUTPUTSCALE_PRIOR
            scales = self.state.outputscale.clone()
            whole = self._smooth(parts) + self._chance() + self._noise()
            scales[c] = self._moved(scales[c], parts[c], _OUTPUTSCALES, prior, whole)
            self.state = replace(self.state, outputscale=scales)
        for s, same in enumerate(self.same):
            scales = self.state.execution_scale.clone()
            whole = self._smooth(parts) + self._chance() + self._noise()
            prior = EXECUTION_SCALE_PRIOR
            scales[s] = self._moved(scales[s], same, _EXECUTIONS, prior, whole)
            self.state = replace(self.state, execution_scale=scales)
        values = self._grid(*_NOISES)
        covariance = self._smooth(parts) + self._chance()
        eye = torch.eye(len(self.y), dtype=torch.float64)
        chosen = self._choose(covariance + values[:, None, None] * eye, values, NOISE_PRIOR)
        self.state = replace(self.state, noise=float(values[chosen]))
        self._centre(parts)

    def _move_lengthscale(self, j: int, parts: Tensor) -> Tensor:
        state = self.state
        values = torch.cat([self._grid(*_LENGTHSCALES), torch.tensor([math.inf]).double()])
        at = self.shares[:, j].nonzero()[:, 0]
        d, n, _ = self.differences.shape
        weight = self.shares[at] / state.lengthscale.square()
        weight[:, j] = 0
        others = (weight @ self.differences.reshape(d, n * n)).reshape(-1, n, n)
        own = (self.shares[at, j] / values.square()[:, None])[:, :, None, None]
        moved = _matern52(others + own * self.differences[j])  # G x c x n x n
        rest = self._smooth(parts) - (state.outputscale[at, None, None] * parts[at]).sum(0)
        covariance = rest + (state.outputscale[at, None, None] * moved).sum(1)
        covariance = covariance + self._chance() + self._noise()
        prior = torch.full((len(values),), math.log(_NO_EFFECT), dtype=torch.float64)
        prior[:-1] = _log_prior(LENGTHSCALE_PRIOR, values[:-1]) + math.log(1 - _NO_EFFECT)
        chosen = self._choose(covariance, values, lambda _: prior)
        lengthscale = state.lengthscale.clone()
        lengthscale[j] = values[chosen]
        self.state = replace(state, lengthscale=lengthscale)
        parts = parts.clone()
        parts[at] = moved[chosen]
        return parts

    def _moved(self, scale: Tensor, part: Tensor, grid: Grid, prior: Gamma, rest: Tensor) -> Tensor:
        """A draw of the variance of one part of the covariance.

        Args:
            scale: What it is now.
            part: The part, of variance 1.
            grid: Values to draw from.
            prior: Of the values.
            rest: The covariance with what the part is now.
        """
        values = self._grid(*grid)
        covariance = rest - scale * part + values[:, None, None] * part
        return values[self._choose(covariance, values, prior)]

    def _grid(self, low: float, high: float, count: int) -> Tensor:
        """Values on a logarithmic grid that is shifted at random each time."""
        step = math.log(high / low) / (count - 1)
        shift = float(torch.rand(1, generator=self.generator)) - 0.5
        places = torch.arange(count, dtype=torch.float64) + shift
        return (math.log(low) + places * step).exp()

    def _correlations(self, lengthscale: Tensor) -> Tensor:
        """Of the components, `C x n x n`."""
        d, n, _ = self.differences.shape
        weight = self.shares / lengthscale.square()
        return _matern52((weight @ self.differences.reshape(d, n * n)).reshape(-1, n, n))

    def _smooth(self, parts: Tensor) -> Tensor:
        return (self.state.outputscale @ parts.flatten(1)).reshape(parts.shape[1:])

    def _chance(self) -> Tensor:
        return (self.state.execution_scale @ self.same.flatten(1)).reshape(self.same.shape[1:])

    def _noise(self) -> Tensor:
        state = self.state
        variance = float(state.outputscale.sum() + state.execution_scale.sum())
        noise = state.noise + JITTER * variance
        return noise * torch.eye(len(self.y), dtype=torch.float64)

    def _choose(
        self, covariance: Tensor, values: Tensor, prior: Gamma | Callable[[Tensor], Tensor]
    ) -> int:
        """Draw one of G values, whose covariances are `G x n x n`."""
        density = self._log_evidence(covariance)
        density += _log_prior(prior, values) if isinstance(prior, Gamma) else prior(values)
        shares = torch.softmax(density, 0)
        return int(torch.multinomial(shares, 1, generator=self.generator))

    def _log_evidence(self, covariance: Tensor) -> Tensor:
        """Log density of y with the constant of highest density, `G`."""
        factor, failed = torch.linalg.cholesky_ex(covariance)
        ones = torch.ones_like(self.y)
        both = torch.stack([self.y, ones], 1).expand(len(covariance), -1, -1)
        solved = torch.linalg.solve_triangular(factor, both, upper=False)
        y, one = solved[..., 0], solved[..., 1]
        squares = (y * y).sum(-1) - (y * one).sum(-1) ** 2 / (one * one).sum(-1)
        logs = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        density = -0.5 * squares - logs
        return torch.where((failed == 0) & density.isfinite(), density, -1e10)

    def _centre(self, parts: Tensor) -> None:
        """The constant that suits the state best."""
        covariance = self._smooth(parts) + self._chance() + self._noise()
        ones = torch.ones_like(self.y)
        solved = torch.linalg.solve(covariance, torch.stack([self.y, ones], 1))
        self.state = replace(self.state, constant=float(solved[:, 0].sum() / solved[:, 1].sum()))


def _matern52(r2: Tensor) -> Tensor:
    t = SQRT5 * r2.sqrt()
    return (1 + t + t * t / 3) * torch.exp(-t)


def _log_prior(prior: Gamma, values: Tensor) -> Tensor:
    """Of values on a logarithmic grid; the probabilities of all add up to one."""
    log_v = values.log()
    return torch.log_softmax(torch.from_numpy(prior.log_density(log_v.numpy())) + log_v, 0)
