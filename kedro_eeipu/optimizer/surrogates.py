"""Gaussian processes for the objective and for the log cost of each stage.

All have a constant mean, Gaussian noise, and as kernel a sum of Matern-5/2 components. A component
sees a group of columns and has an outputscale of its own; a column's lengthscale is the same in all
components. With the groups "all columns" and "the columns that enter with stage s", the fit decides
how much of the function is a sum over stages and how much is interaction. The squared distance of
a component of many columns is divided by half their number: distances grow with the root of it, and
with priors that know nothing of it all points of a large space would be strangers to each other.

Retraining a model with almost the same parameters gives a slightly different model, and everything
downstream inherits that noise. So the objective has a random effect per execution of a stage: two
trials share it if the stage's output is the same in both. A smooth function alone would take trials
that share a trained model for proof that there is no noise at all.

Hyperparameters maximise the posterior density (`hyperparameters.py`). Written out in plain torch,
because predicting with a few hundred points is otherwise dominated by overhead: all surrogates
predict in one batch. The posterior is that of BoTorch's `SingleTaskGP` with the same kernel and
hyperparameters.

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

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kedro_eeipu.optimizer.hyperparameters import JITTER, SQRT5, Hyperparameters, column_shares

__all__ = ["Surrogates", "TrainingData"]


class _Matern52(torch.autograd.Function):
    """Matern-5/2 correlation of the squared distance, with a derivative that is finite at 0."""

    @staticmethod
    def forward(ctx, r2: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        t = SQRT5 * r2.clamp(min=0).sqrt()
        decay = torch.exp(-t)
        ctx.save_for_backward(t, decay)
        return (1 + t + t * t / 3) * decay

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        t, decay = ctx.saved_tensors
        return grad * (-5 / 6) * (1 + t) * decay


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
            root = column_shares(part.groups, len(h.lengthscale)).sqrt()
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
            covariance.diagonal().fill_(variance * (1 + JITTER) + h.noise)
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
        noise = h.noise + JITTER * float(h.outputscale.sum() + h.execution_scale.sum())
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
    jitter = JITTER * float(covariance.diagonal().max())
    while int(failed):
        jitter *= 10
        eye = torch.eye(len(covariance), dtype=torch.float64)
        factor, failed = torch.linalg.cholesky_ex(covariance + jitter * eye)
    return factor


def _column(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]
