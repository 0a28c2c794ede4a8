from __future__ import annotations

import pytest
import torch
from botorch.models import SingleTaskGP
from gpytorch.kernels import MaternKernel, ScaleKernel

from kedro_eeipu.optimizer import surrogates as module
from kedro_eeipu.optimizer.surrogates import (
    Hyperparameters,
    Surrogates,
    TrainingData,
    fit_hyperparameters,
)

D = 3
COLUMNS = torch.arange(D)


def data(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, D, generator=generator, dtype=torch.float64)
    y = torch.sin(5 * x[:, 0]) + x[:, 1] ** 2 + 0.05 * torch.randn(n, generator=generator).double()
    return x, (y - y.mean()) / y.std()


def test_posterior_is_that_of_botorch() -> None:
    x, y = data(25)
    h = Hyperparameters(torch.tensor([0.3, 0.7, 2.0], dtype=torch.float64), 1.7, 0.02, 0.3)
    model = SingleTaskGP(
        x,
        y[:, None],
        covar_module=ScaleKernel(MaternKernel(nu=2.5, ard_num_dims=D)),
        outcome_transform=None,
    )
    model.covar_module.base_kernel.lengthscale = h.lengthscale
    model.covar_module.outputscale = h.outputscale
    model.mean_module.initialize(constant=h.constant)
    model.likelihood.noise = h.noise
    test, _ = data(50, seed=1)
    posterior = model.eval().posterior(test)
    mean, deviation = Surrogates([TrainingData(x, y, frozenset(range(D)))], [h], COLUMNS).posterior(
        test
    )
    assert torch.allclose(mean[0], posterior.mean[:, 0], atol=1e-3)
    assert torch.allclose(deviation[0], posterior.variance[:, 0].sqrt(), atol=1e-3)


def test_fit_reaches_what_autograd_finds_stationary() -> None:
    x, y = data(30)
    h = fit_hyperparameters(x, y, COLUMNS, range(D), D)
    theta = torch.cat(
        [h.lengthscale.log(), torch.tensor([h.outputscale, h.noise], dtype=torch.float64).log()]
    ).requires_grad_()
    scaled = x / theta[:D].exp()
    r = ((scaled[:, None] - scaled[None]) ** 2).sum(-1).clamp(min=1e-18).sqrt() * 5**0.5
    kernel = theta[D].exp() * (1 + r + r * r / 3) * torch.exp(-r)
    covariance = kernel + theta[D + 1].exp() * torch.eye(len(y), dtype=torch.float64)
    density = torch.distributions.MultivariateNormal(
        torch.full_like(y, h.constant), covariance
    ).log_prob(y)
    for prior, part in module._priors(D):
        v = theta[part].exp()
        density = density + ((prior.concentration - 1) * v.log() - prior.rate * v).sum()
    (gradient,) = torch.autograd.grad(density, theta)
    assert gradient.abs().max() < 0.05


def test_permuting_parameters_permutes_lengthscales() -> None:
    x, y = data(30)
    order = torch.tensor([2, 0, 1])
    straight = fit_hyperparameters(x, y, COLUMNS, range(D), D)
    permuted = fit_hyperparameters(x[:, order], y, COLUMNS, range(D), D)
    assert torch.allclose(straight.lengthscale[order], permuted.lengthscale, rtol=1e-2)


def test_ragged_batch_predicts_as_each_alone() -> None:
    (x, y), (x2, y2) = data(25), data(7, seed=3)
    everything = frozenset(range(D))
    parts = [
        TrainingData(x, y, everything),
        TrainingData(x2, 3 * y2 + 1, everything, 1.0, 3.0),
        TrainingData(x[:0], y[:0], everything, 2.0, 0.5),
    ]
    h = Hyperparameters(torch.full((D,), 0.4, dtype=torch.float64), 1.0, 0.01, 0.0)
    test, _ = data(10, seed=1)
    mean, deviation = Surrogates(parts, [h] * 3, COLUMNS).posterior(test)
    for i, part in enumerate(parts):
        alone_mean, alone_deviation = Surrogates([part], [h], COLUMNS).posterior(test)
        assert torch.allclose(mean[i], alone_mean[0])
        assert torch.allclose(deviation[i], alone_deviation[0])
    assert mean[2].tolist() == pytest.approx([2.0] * 10)
    assert deviation[2].tolist() == pytest.approx([0.5] * 10)


def test_unseen_columns_have_no_effect() -> None:
    x, y = data(20)
    h = fit_hyperparameters(x, y, COLUMNS, [0, 1], D)
    model = Surrogates([TrainingData(x, y, frozenset({0, 1}))], [h], COLUMNS)
    changed = x.clone()
    changed[:, 2] = 0.0
    assert torch.allclose(model.posterior(x)[0], model.posterior(changed)[0])


def test_identical_targets_and_points_do_not_fail() -> None:
    x = torch.full((5, D), 0.5, dtype=torch.float64)
    h = fit_hyperparameters(x, torch.zeros(5, dtype=torch.float64), COLUMNS, range(D), D)
    mean, deviation = Surrogates(
        [TrainingData(x, torch.zeros(5).double(), frozenset(range(D)))], [h], COLUMNS
    ).posterior(x)
    assert torch.isfinite(mean).all()
    assert torch.isfinite(deviation).all()
