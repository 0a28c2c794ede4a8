"""Gaussian processes for the objective and for the log cost of each stage, as BoTorch models.

All have a constant mean, Gaussian noise, and as kernel a sum of Matern-5/2 components. A component
sees a group of columns and has its own outputscale; a column's lengthscale is the same in all
components. With the groups "all columns" and "the columns that enter with stage s", the fit decides
how much of the function is a sum over stages and how much is interaction. The squared distance of
a component of many columns is divided by half their number: distances grow with the root of it, and
with priors that know nothing of it all points of a large space would be strangers to each other.

Retraining a model with almost the same parameters gives a slightly different model, and everything
downstream inherits that noise. So the objective has a random effect per execution of a stage: two
trials share it if the stage's output is the same in both. A smooth function alone would take trials
that share a trained model for proof that there is no noise at all.

GPyTorch predicts. Hyperparameters maximise the posterior density; `hyperparameters.py` finds them
in a fifth of the time that `fit_gpytorch_mll` takes.

Notation:

==========  =======================================================================
X           configurations or their features, n x d or n x D
c, C        a component of a kernel, their number
l           lengthscales, one per column of x (shared by the features of a category)
r2          squared scaled distance, sum over a component's m columns of (difference / l)^2,
            divided by m / 2 if that is more than 1
K           covariance of the noisy training targets, n x n
S           number of stages whose executions have a random effect
a           K^-1 (y - constant)
==========  =======================================================================
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from botorch.models import SingleTaskGP
from botorch.models.transforms.input import InputTransform
from botorch.models.transforms.outcome import OutcomeTransform
from botorch.posteriors.gpytorch import GPyTorchPosterior, scalarize_posterior
from botorch.posteriors.posterior import Posterior
from gpytorch.distributions import MultivariateNormal
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.settings import cholesky_max_tries, max_cholesky_size
from torch import Tensor

from kedro_eeipu.optimizer.hyperparameters import JITTER, NOISE_PRIOR, Hyperparameters
from kedro_eeipu.optimizer.kernels import StageKernel, between, gamma, set_parameter
from kedro_eeipu.optimizer.unit_cube import Space

__all__ = ["Features", "Surrogate", "TrainingData"]

_CHOLESKY_TRIES = 10
_PREDICTED_AT_ONCE = 128


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
        points: `n x d`, the latent configurations whose features these are.
        expects: what a related objective lets expect at latent points `... x d`: `...`. Its values
            are the last feature.
    """

    features: Tensor
    y: Tensor
    groups: tuple[frozenset[int], ...]
    offset: float = 0.0
    scale: float = 1.0
    executions: tuple[frozenset[int], ...] = ()
    points: Tensor | None = None
    expects: Callable[[Tensor], Tensor] | None = None

    def extended(self, points: Tensor, features: Tensor, y: Tensor) -> TrainingData:
        """With further points."""
        before = points[:0] if self.points is None else self.points
        return replace(
            self,
            features=torch.cat([self.features, features]),
            y=torch.cat([self.y, y]),
            points=torch.cat([before, points]),
        )


class Features(InputTransform):
    """From configurations on the unit cube to features; NaN is an inactive parameter.

    Args:
        space: the search space.
        expects: what a related objective lets expect at latent points, one more feature.
    """

    transform_on_train = True
    transform_on_eval = True
    transform_on_fantasize = True

    def __init__(self, space: Space, expects: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.space = space
        self.expects = expects

    def transform(self, X: Tensor) -> Tensor:
        """Features, `... x D`, of configurations `... x d`."""
        z = self.space.reveal(X)
        features = self.space.features(z, self.space.active(z))
        if self.expects is None:
            return features
        return torch.cat([features, self.expects(z).unsqueeze(-1)], dim=-1)


class _Rescaled(OutcomeTransform):
    """Targets with a given offset and scale, where `Standardize` would learn its own."""

    _is_linear = True

    def __init__(self, offset: float, scale: float) -> None:
        super().__init__()
        self.offset, self.scale = offset, scale

    def forward(
        self, Y: Tensor, Yvar: Tensor | None = None, X: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Standardised targets, and their noise."""
        return (Y - self.offset) / self.scale, None if Yvar is None else Yvar / self.scale**2

    def untransform(
        self, Y: Tensor, Yvar: Tensor | None = None, X: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Targets in their own unit, and their noise."""
        return Y * self.scale + self.offset, None if Yvar is None else Yvar * self.scale**2

    def untransform_posterior(self, posterior: Posterior, X: Tensor | None = None) -> Posterior:
        """The posterior in the unit of the targets."""
        assert isinstance(posterior, GPyTorchPosterior)
        weight = torch.tensor([self.scale], dtype=torch.float64)
        return scalarize_posterior(posterior, weight, self.offset)


class Surrogate(SingleTaskGP):
    """A Gaussian process with the kernel of this optimizer; a BoTorch model like any other.

    Without training points it predicts its offset with standard deviation `scale` times the root
    of its outputscales' sum.

    Args:
        data: training data.
        hyperparameters: of the standardised targets, values to begin with.
        feature_column: `D`, the column of x that each feature belongs to.
        transform: from configurations to features; by default the model takes features.
    """

    def __init__(
        self,
        data: TrainingData,
        hyperparameters: Hyperparameters,
        feature_column: Tensor,
        transform: Features | None = None,
    ) -> None:
        points = data.features if transform is None or data.points is None else data.points
        h = hyperparameters
        standard = (data.offset, data.scale) == (0.0, 1.0)
        rescaled = None if standard else _Rescaled(data.offset, data.scale)
        super().__init__(
            points,
            data.y[:, None],
            likelihood=GaussianLikelihood(
                noise_prior=gamma(NOISE_PRIOR), noise_constraint=between("noise")
            ),
            covar_module=StageKernel(data.groups, feature_column, data.executions, h),
            outcome_transform=rescaled,
            input_transform=transform,
        )
        self.data = data
        self._points = points
        variance = float(h.outputscale.sum() + h.execution_scale.sum())
        noise = torch.tensor([h.noise + JITTER * variance], dtype=torch.float64)
        set_parameter(self.likelihood.noise_covar, "raw_noise", noise)
        self.mean_module.initialize(constant=h.constant)

    def posterior(self, X: Tensor, *args: Any, **options: Any) -> Any:
        """As for any BoTorch model, by Cholesky factors however many trials there are."""
        with ExitStack() as settings:
            settings.enter_context(max_cholesky_size(sys.maxsize))
            settings.enter_context(cholesky_max_tries(_CHOLESKY_TRIES))
            return super().posterior(X, *args, **options)

    def _get_test_prior_mean_and_covariances(  # type: ignore[no-untyped-def]
        self, train_inputs, test_inputs, **_
    ):
        """GPyTorch's hook for covariances with points to predict.

        Its own repeats the training points for each of them, and evaluates lazily what is small:
        that took most of a prediction's time.
        """
        (train,), (x,) = train_inputs, test_inputs
        mean, covariance = self.mean_module(x), self.covar_module.forward
        alone = x.shape[-2] == 1
        own = covariance(x, x, diag=True).unsqueeze(-1) if alone else covariance(x, x)
        batch, points = x.shape[:-2], x.shape[-2:-1]
        return mean, own, covariance(x, train), batch, points, MultivariateNormal

    def fitted(self) -> Tensor:
        """Posterior mean at its own n training points, in the unit of the targets."""
        parts = self._points.unsqueeze(-2).split(_PREDICTED_AT_ONCE)
        return torch.cat([self.posterior(part).mean[:, 0, 0] for part in parts])

    def left_out(self) -> Tensor:
        """Posterior mean at each of its n training points from all the others.

        y - a / diag(K^-1), with the hyperparameters as they are (Rasmussen and Williams 2006,
        equation 5.12).
        """
        inverse, a = self.solved()
        return self.data.y - self.data.scale * a / inverse.diagonal()

    def solved(self) -> tuple[Tensor, Tensor]:
        """K^-1 and a, of the standardised targets."""
        self.eval()
        prior = self.likelihood(self.forward(*self.train_inputs))
        inverse = torch.linalg.inv(prior.covariance_matrix)
        return inverse, inverse @ (self.train_targets - prior.mean)
