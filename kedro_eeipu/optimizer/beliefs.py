"""What the objective's surrogate believes: values anywhere, and which parameters matter.

The function that is looked at is the smooth one: without the noise and without the random effects
of executions, so that what trials share because a stage was reused is not taken for an effect of
its parameters. The best guess is the optimizer's fit; draws of the function are taken under
hyperparameters that are drawn as well.

A draw of the posterior is a function, after Matheron's rule (Wilson et al., arXiv 2002.09309): a
draw of the prior from random Fourier features, corrected by what it misses of the trials.

Notation:

==========  =======================================================================
X, x        features of the trials, n x D, and of any points, B x D
l           lengthscales, one per column
K           covariance of the targets, n x n, with noise and executions
k(x, X)     covariance of the smooth function with the targets, B x n
a           K^-1 (y - constant)
w           a target: the objective, warped and standardised
==========  =======================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kedro_eeipu.optimizer.hyperparameter_draws import draw_hyperparameters
from kedro_eeipu.optimizer.hyperparameters import (
    JITTER,
    SQRT5,
    Hyperparameters,
    column_shares,
)
from kedro_eeipu.optimizer.surrogates import TrainingData
from kedro_eeipu.optimizer.unit_cube import Space
from kedro_eeipu.optimizer.warping import Warped

__all__ = ["Beliefs", "Draws", "Spread"]

# Standard deviations that bound 90 % of a normal distribution.
_NINETY = 1.6449
# Random Fourier features, of all components of a kernel together and of each at least.
_FEATURES, _FEWEST_FEATURES = 384, 64
# Draws see at most so many components times trials, trials evenly spaced: they take that long.
_MOST_PAIRS = 1_500
_MANY_COLUMNS, _MANY_TRIALS = 12, 100
# How far beyond the trials' targets a draw is believed, in parts of their range.
_BEYOND = 0.25


@dataclass(frozen=True)
class Spread:
    """Medians with the ends of intervals that hold 90 %, all `B`, in the objective's unit."""

    middle: Tensor
    low: Tensor
    high: Tensor


class Beliefs:
    """The posterior of the smooth part of the objective.

    Args:
        space: The search space.
        warped: How the objective was warped.
        data: Training data of the objective's surrogate, of trials with a value only.
        hyperparameters: Their fit.
    """

    def __init__(
        self, space: Space, warped: Warped, data: TrainingData, hyperparameters: Hyperparameters
    ) -> None:
        self.space = space
        self._warped, self._data, self._fit = warped, data, hyperparameters
        self._at = [
            torch.isin(space.feature_column, torch.tensor(sorted(columns)))
            for columns in data.executions
        ]
        self._model = _Model(data, hyperparameters, self._at, space.feature_column)

    @property
    def components(self) -> int:
        """Of the kernel."""
        return len(self._data.groups)

    @property
    def large(self) -> bool:
        """Whether draws take so long that there can only be few."""
        return self.space.d > _MANY_COLUMNS and len(self._data.y) > _MANY_TRIALS

    def at(self, z: Tensor) -> Spread:
        """What is believed of latent points `B x d`."""
        model = self._model
        k = model.kernel(self.features(z), self._data.features)
        mean = model.fit.constant + k @ model.a
        explained = (k @ model.inverse * k).sum(-1)
        deviation = (model.fit.outputscale.sum() - explained).clamp(min=0).sqrt()
        return self._spread(mean, deviation)

    def left_out(self) -> Spread:
        """What is expected of each trial from all the others, its noise included.

        Rasmussen and Williams 2006, equations 5.10 to 5.12.
        """
        precision = self._model.inverse.diagonal()
        mean = self._data.y - self._model.a / precision
        return self._spread(mean, precision.rsqrt())

    def draws(self, fits: int, each: int, seed: int) -> list[Draws]:
        """Functions from the posterior, under so many sets of hyperparameters, so many of each."""
        generator = torch.Generator().manual_seed(seed)
        column, n = self.space.feature_column, len(self._data.y)
        most = max(60, min(150, _MOST_PAIRS // self.components))
        keep = torch.linspace(0, n - 1, min(n, most)).round().long()
        data = replace(self._data, features=self._data.features[keep], y=self._data.y[keep])
        drawn = draw_hyperparameters(data, self._fit, column, fits, generator)
        models = [_Model(data, fit, self._at, column) for fit in drawn]
        return [Draws(self, _Functions(model, each, generator)) for model in models]

    def unwarped(self, w: Tensor) -> Tensor:
        """Targets in the objective's unit, none far beyond those of the trials."""
        low, high = self._data.y.min(), self._data.y.max()
        room = _BEYOND * (high - low)
        return self._warped.unwarp(w.clamp(low - room, high + room))

    def _spread(self, mean: Tensor, deviation: Tensor) -> Spread:
        ends = (mean - _NINETY * deviation, mean + _NINETY * deviation)
        return Spread(self.unwarped(mean), *map(self.unwarped, ends))

    def features(self, z: Tensor) -> Tensor:
        """`B x D`, of latent points."""
        return self.space.features(z, self.space.active(z))


class _Model:
    """A Gaussian process with its training data: covariances, and what is solved once."""

    def __init__(
        self,
        data: TrainingData,
        fit: Hyperparameters,
        executions: Sequence[Tensor],
        feature_column: Tensor,
    ) -> None:
        self.data, self.fit = data, fit
        root = column_shares(data.groups, len(fit.lengthscale)).sqrt()
        self.weight = (root / fit.lengthscale)[:, feature_column]  # C x D
        x = data.features
        self.chance = torch.zeros(len(x), len(x), dtype=torch.float64)
        for at, scale in zip(executions, fit.execution_scale.tolist(), strict=True):
            self.chance += scale * (x[:, None, at] == x[None, :, at]).all(-1)
        variance = float(fit.outputscale.sum() + fit.execution_scale.sum())
        self.chance.diagonal().add_(fit.noise + JITTER * variance)
        factor = torch.linalg.cholesky(self.kernel(x, x) + self.chance)
        self.inverse = torch.cholesky_inverse(factor)
        self.a = self.inverse @ (data.y - fit.constant)

    def kernel(self, x: Tensor, other: Tensor) -> Tensor:
        """Covariance of the smooth function, `B x n`."""
        total = torch.zeros(len(x), len(other), dtype=torch.float64)
        for weight, scale in zip(self.weight, self.fit.outputscale.tolist(), strict=True):
            used = weight > 0
            t = SQRT5 * torch.cdist(x[:, used] * weight[used], other[:, used] * weight[used])
            total += scale * (1 + t + t * t / 3) * torch.exp(-t)
        return total


class _Functions:
    """Draws of the posterior under one set of hyperparameters, S functions."""

    def __init__(self, model: _Model, count: int, generator: torch.Generator) -> None:
        self._model = model
        c, d = model.weight.shape
        features = max(_FEWEST_FEATURES, _FEATURES // c)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        # The spectral density of a Matern-5/2 kernel is a Student t with 5 degrees of freedom.
        chi2 = normal(c, features, 5).square().sum(-1, keepdim=True)
        self._frequency = normal(c, features, d) * (5 / chi2).sqrt() * model.weight[:, None, :]
        self._phase = (
            2 * math.pi * torch.rand(c, features, generator=generator, dtype=torch.float64)
        )
        amplitude = (2 * model.fit.outputscale / features).sqrt()[:, None, None]
        self._prior = (amplitude * normal(c, features, count)).flatten(0, 1)
        data = model.data
        chance = torch.linalg.cholesky(model.chance) @ normal(len(data.y), count)
        missed = (data.y - model.fit.constant)[:, None] - self._from_prior(data.features) - chance
        self._correction = model.inverse @ missed

    def _from_prior(self, x: Tensor) -> Tensor:
        waves = torch.cos(x @ self._frequency.flatten(0, 1).T + self._phase.flatten())
        return waves @ self._prior

    def __call__(self, x: Tensor) -> Tensor:
        """Their targets at features, `B x S`."""
        corrected = self._model.kernel(x, self._model.data.features) @ self._correction
        return self._model.fit.constant + self._from_prior(x) + corrected


class Draws:
    """Functions from the posterior under one set of hyperparameters, in the objective's unit."""

    def __init__(self, beliefs: Beliefs, functions: _Functions) -> None:
        self._beliefs, self._functions = beliefs, functions
        self.space = beliefs.space

    def __call__(self, z: Tensor) -> Tensor:
        """Their values at latent points `B x d`, `B x S`."""
        return self._beliefs.unwarped(self._functions(self._beliefs.features(z)))
