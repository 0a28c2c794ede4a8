from __future__ import annotations

import math

import pytest
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from gpytorch.kernels import AdditiveKernel, MaternKernel, ScaleKernel
from gpytorch.mlls import ExactMarginalLogLikelihood

from kedro_eeipu.optimizer import Dimension
from kedro_eeipu.optimizer import hyperparameters as module
from kedro_eeipu.optimizer.hyperparameters import Hyperparameters, fit_hyperparameters
from kedro_eeipu.optimizer.surrogates import Features, Surrogate, TrainingData
from kedro_eeipu.optimizer.unit_cube import Space

D = 3
COLUMNS = torch.arange(D)
ALL = frozenset(range(D))


def data(n: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, D, generator=generator, dtype=torch.float64)
    y = torch.sin(5 * x[:, 0]) + x[:, 1] ** 2 + 0.05 * torch.randn(n, generator=generator).double()
    return x, (y - y.mean()) / y.std()


def prediction(
    part: TrainingData, h: Hyperparameters, x: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation at each point."""
    with torch.no_grad():
        posterior = Surrogate(part, h, COLUMNS).posterior(x[:, None])
    return posterior.mean[:, 0, 0], posterior.variance[:, 0, 0].sqrt()


def test_posterior_is_that_of_botorch() -> None:
    x, y = data(25)
    groups = (frozenset({0, 1, 2}), frozenset({0}), frozenset({1, 2}))
    lengthscale = torch.tensor([0.3, 0.7, 2.0], dtype=torch.float64)
    outputscale = torch.tensor([1.7, 0.4, 0.9], dtype=torch.float64)
    h = Hyperparameters(lengthscale, outputscale, 0.02, 0.3)
    components = []
    for group, scale in zip(groups, outputscale, strict=True):
        columns = sorted(group)
        component = ScaleKernel(
            MaternKernel(nu=2.5, ard_num_dims=len(columns), active_dims=columns)
        ).double()
        component.base_kernel.lengthscale = lengthscale[columns] * max(1, len(columns) / 2) ** 0.5
        component.outputscale = scale
        components.append(component)
    model = SingleTaskGP(
        x, y[:, None], covar_module=AdditiveKernel(*components), outcome_transform=None
    )
    model.mean_module.initialize(constant=h.constant)
    model.likelihood.noise = h.noise
    test, _ = data(50, seed=1)
    posterior = model.eval().posterior(test)
    mean, deviation = prediction(TrainingData(x, y, groups), h, test)
    assert torch.allclose(mean, posterior.mean[:, 0], atol=1e-5)
    assert torch.allclose(deviation, posterior.variance[:, 0].sqrt(), atol=1e-5)


@pytest.mark.parametrize("groups", [(ALL,), (ALL, frozenset({0}), frozenset({1, 2}))])
def test_fit_ends_where_autograd_sees_no_slope(groups: tuple[frozenset[int], ...]) -> None:
    x, y = data(30)
    h = fit_hyperparameters(x, y, COLUMNS, groups, D)
    h = fit_hyperparameters(x, y, COLUMNS, groups, D, start=h)  # a fit ends early, by its gain
    theta = torch.cat([h.lengthscale, h.outputscale, torch.tensor([h.noise]).double()])
    theta = theta.log().requires_grad_()
    lengthscale, outputscale, noise = theta.exp().split([D, len(groups), 1])
    covariance = noise * torch.eye(len(y), dtype=torch.float64)
    for group, scale in zip(groups, outputscale, strict=True):
        scaled = (x / lengthscale)[:, sorted(group)] / max(1, len(group) / 2) ** 0.5
        r = ((scaled[:, None] - scaled[None]) ** 2).sum(-1).clamp(min=1e-18).sqrt() * 5**0.5
        covariance = covariance + scale * (1 + r + r * r / 3) * torch.exp(-r)
    mean = torch.full_like(y, h.constant)
    density = torch.distributions.MultivariateNormal(mean, covariance).log_prob(y)
    for prior, part in module._priors(D, len(groups)):
        v = theta[part].exp()
        density = density + ((prior.concentration - 1) * v.log() - prior.rate * v).sum()
    (gradient,) = torch.autograd.grad(density, theta)
    assert gradient.abs().max() < 0.05


def test_permuting_parameters_permutes_lengthscales() -> None:
    x, y = data(30)
    order = torch.tensor([2, 0, 1])
    straight = fit_hyperparameters(x, y, COLUMNS, [ALL], D)
    permuted = fit_hyperparameters(x[:, order], y, COLUMNS, [ALL], D)
    assert torch.allclose(straight.lengthscale[order], permuted.lengthscale, rtol=1e-2)


def test_a_sum_over_stages_is_learned_as_one() -> None:
    x = torch.rand(40, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.sin(9 * x[:, 0]) + torch.cos(7 * x[:, 1] + x[:, 2])
    groups = (ALL, frozenset({0}), frozenset({1, 2}))
    h = fit_hyperparameters(x, (y - y.mean()) / y.std(), COLUMNS, groups, D)
    assert h.outputscale[1:].min() > h.outputscale[0]


def test_without_trials_the_offset_is_predicted() -> None:
    x, y = data(10)
    length = torch.full((D,), 0.4, dtype=torch.float64)
    h = Hyperparameters(length, torch.ones(1, dtype=torch.float64), 0.01, 0.0)
    mean, deviation = prediction(TrainingData(x[:0], y[:0], (ALL,), 2.0, 0.5), h, x)
    assert mean.tolist() == pytest.approx([2.0] * 10)
    assert deviation.tolist() == pytest.approx([0.5] * 10)


def test_points_alone_are_predicted_as_points_together() -> None:
    """They take different paths through the kernel."""
    x, y = two_stages()
    h = Hyperparameters(
        torch.tensor([0.5, 0.4, 1.0], dtype=torch.float64),
        torch.tensor([1.2, 0.3], dtype=torch.float64),
        0.05,
        0.1,
        execution_scale=torch.tensor([0.7], dtype=torch.float64),
    )
    groups = (ALL, frozenset({1, 2}))
    part = TrainingData(x, 3 * y + 1, groups, 1.0, 3.0, executions=(frozenset({0}),))
    model = Surrogate(part, h, COLUMNS)
    test = torch.cat([x[:2], data(5, seed=4)[0]]).requires_grad_()
    slopes = []
    for posterior in (model.posterior(test), model.posterior(test[:, None])):
        mean, variance = posterior.mean.flatten(), posterior.variance.flatten()
        slopes.append(torch.autograd.grad(mean.sum() + variance.sum(), test)[0])
        assert torch.allclose(mean, model.posterior(test).mean.flatten(), atol=1e-9)
        assert torch.allclose(variance, model.posterior(test).variance.flatten(), atol=1e-9)
    flat, batched = slopes
    assert torch.allclose(flat, batched, atol=1e-6)


def test_a_fit_by_the_libraries_has_the_same_density_and_finds_no_better_one() -> None:
    """Ours has an analytic gradient and is several times faster; the model is the same."""
    x, y = two_stages()
    y = y + 0.2 * torch.randn(len(y), generator=torch.Generator().manual_seed(1)).double()
    groups, executions = (ALL, frozenset({1, 2})), (frozenset({0}),)
    part = TrainingData(x, y, groups, executions=executions)
    ours = module._Posterior(x, y, COLUMNS, groups, D, executions)
    fitted = fit_hyperparameters(x, y, COLUMNS, groups, D, executions=executions)
    found, difference = [], []
    for h in (ours.hyperparameters(ours.start(None)), fitted):
        model = Surrogate(part, h, COLUMNS)
        mll = ExactMarginalLogLikelihood(model.likelihood, model).train()
        theirs = mll(model(*model.train_inputs), model.train_targets) * len(y)
        value, slope = ours.negative_log_density(ours.start(h))
        difference.append(float(theirs) + value)
        found.append(mll)
        raw = [
            model.covar_module.raw_lengthscale,
            model.covar_module.raw_outputscale,
            model.likelihood.noise_covar.raw_noise,
            model.covar_module.raw_execution_scale,
        ]
        theirs_slope = torch.cat([g.flatten() for g in torch.autograd.grad(-theirs, raw)])
        assert theirs_slope.tolist() == pytest.approx(slope.tolist(), abs=1e-4)
    assert difference[0] == pytest.approx(difference[1], abs=1e-4)  # the priors' constants
    mll = fit_gpytorch_mll(found[0]).train()
    best = float(mll(mll.model(*mll.model.train_inputs), mll.model.train_targets) * len(y))
    assert best - difference[0] == pytest.approx(fitted.log_posterior, abs=0.1)


def test_configurations_of_any_kind_can_be_conditioned_on() -> None:
    space = Space(
        [
            Dimension(),
            Dimension(levels=3, ordered=False),
            Dimension(active_when=(1, frozenset({0}))),
        ]
    )
    points = torch.tensor(
        [[0.1, 0.0, 0.3], [0.9, 0.5, math.nan], [0.4, 0.0, 0.8], [0.2, 1.0, math.nan]]
    ).double()
    y = torch.tensor([0.5, -1.0, 0.9, 0.1]).double()
    transform = Features(space)
    h = Hyperparameters(torch.full((3,), 0.6).double(), torch.ones(1).double(), 0.01, 0.0)

    def model(n: int) -> Surrogate:
        z = space.reveal(points[:n])
        part = TrainingData(transform.transform(z), y[:n], (ALL,), 0.3, 2.0, points=z)
        return Surrogate(part, h, space.feature_column, transform)

    three = model(3)
    three.posterior(points)
    conditioned = three.condition_on_observations(space.reveal(points[3:]), y[3:, None])
    test = torch.tensor([[0.5, 0.5, math.nan], [0.3, 0.0, 0.1]]).double()
    whole = model(4).posterior(test)
    assert torch.allclose(conditioned.posterior(test).mean, whole.mean, atol=1e-6)
    assert torch.allclose(conditioned.posterior(test).variance, whole.variance, atol=1e-6)


def test_fitted_values_are_the_posterior_mean_at_the_training_points() -> None:
    x, y = data(20)
    part = TrainingData(x, 5 * y + 2, (ALL,), 2.0, 5.0)
    h = fit_hyperparameters(x, y, COLUMNS, part.groups, D)
    assert torch.allclose(Surrogate(part, h, COLUMNS).fitted(), prediction(part, h, x)[0])


def test_left_out_values_are_those_of_surrogates_that_have_not_seen_them() -> None:
    x, y = data(12)
    h = Hyperparameters(torch.full((D,), 0.6).double(), torch.tensor([1.3]).double(), 0.05, 0.2)
    whole = Surrogate(TrainingData(x, y, (ALL,), offset=1.0, scale=2.0), h, COLUMNS).left_out()
    for i in range(len(y)):
        others = torch.arange(len(y)) != i
        part = TrainingData(x[others], y[others], (ALL,), offset=1.0, scale=2.0)
        mean, _ = prediction(part, h, x[i : i + 1])
        assert float(whole[i]) == pytest.approx(float(mean), abs=1e-5)


def test_unseen_columns_have_no_effect() -> None:
    x, y = data(20)
    seen = frozenset({0, 1})
    h = fit_hyperparameters(x, y, COLUMNS, [seen], D)
    part, changed = TrainingData(x, y, (seen,)), x.clone()
    changed[:, 2] = 0.0
    assert torch.allclose(prediction(part, h, x)[0], prediction(part, h, changed)[0])


def test_identical_targets_and_points_do_not_fail() -> None:
    x, y = torch.full((5, D), 0.5, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    h = fit_hyperparameters(x, y, COLUMNS, [ALL], D)
    mean, deviation = prediction(TrainingData(x, y, (ALL,)), h, x)
    assert torch.isfinite(mean).all()
    assert torch.isfinite(deviation).all()


def two_stages(repeats: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Six executions of a first stage, each with an effect, and five of a second on each."""
    generator = torch.Generator().manual_seed(3)
    first = torch.rand(6, 1, generator=generator, dtype=torch.float64).repeat_interleave(repeats, 0)
    effect = torch.randn(6, generator=generator, dtype=torch.float64).repeat_interleave(repeats)
    x = torch.cat([first, torch.rand(len(first), 2, generator=generator, dtype=torch.float64)], 1)
    y = effect + torch.sin(3 * x[:, 1])
    return x, (y - y.mean()) / y.std()


def test_what_executions_have_in_common_is_told_from_what_parameters_do() -> None:
    x, y = two_stages()
    executions = (frozenset({0}),)
    h = fit_hyperparameters(x, y, COLUMNS, [ALL], D, executions=executions)
    assert h.execution_scale.item() > 10 * h.noise
    part = TrainingData(x, y, (ALL,), executions=executions)
    again, anew = x[:1].clone(), x[:1].clone()
    again[:, 1:], anew[:, 1:] = 0.5, 0.5
    anew[:, 0] += 1e-6  # hardly another parameter, and another model all the same
    _, deviation = prediction(part, h, torch.cat([again, anew]))
    assert deviation[1] > 3 * deviation[0]


def test_effects_of_executions_are_those_of_a_dense_covariance() -> None:
    x, y = two_stages()
    executions = (frozenset({0}), frozenset({0, 1}))
    h = Hyperparameters(
        torch.tensor([0.5, 0.4, 1.0], dtype=torch.float64),
        torch.tensor([1.2], dtype=torch.float64),
        0.05,
        0.1,
        execution_scale=torch.tensor([0.7, 0.3], dtype=torch.float64),
    )
    test = torch.cat([x[:2], torch.full((1, 3), 0.4, dtype=torch.float64)])
    test[0, 2] = 0.9  # both stages of the first row have run
    test[1, 1:] = 0.2  # only the first of the second

    def covariance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        scaled = (a[:, None] - b[None]) / h.lengthscale
        r = 5**0.5 * (scaled.square().sum(-1) / 1.5).sqrt()
        k = 1.2 * (1 + r + r * r / 3) * torch.exp(-r)
        k = k + 0.7 * (a[:, None, 0] == b[None, :, 0])
        return k + 0.3 * (a[:, None, :2] == b[None, :, :2]).all(-1)

    inverse = torch.linalg.inv(covariance(x, x) + 0.05 * torch.eye(len(y)))
    k = covariance(test, x)
    mean = 0.1 + k @ inverse @ (y - 0.1)
    variance = covariance(test, test).diagonal() - (k @ inverse @ k.T).diagonal()
    predicted, deviation = prediction(TrainingData(x, y, (ALL,), executions=executions), h, test)
    assert torch.allclose(predicted, mean, atol=1e-5)
    assert torch.allclose(deviation, variance.sqrt(), atol=1e-5)


def test_fit_of_effects_ends_where_autograd_sees_no_slope() -> None:
    x, y = two_stages()
    executions = (frozenset({0}), frozenset({0, 1}))
    h = fit_hyperparameters(x, y, COLUMNS, [ALL], D, executions=executions)
    h = fit_hyperparameters(x, y, COLUMNS, [ALL], D, start=h, executions=executions)
    theta = torch.cat([h.lengthscale, h.outputscale, torch.tensor([h.noise]).double()])
    theta = torch.cat([theta, h.execution_scale]).log().requires_grad_()
    lengthscale, outputscale, noise, first, second = theta.exp().split([D, 1, 1, 1, 1])
    scaled = x / lengthscale / 1.5**0.5
    r = ((scaled[:, None] - scaled[None]) ** 2).sum(-1).clamp(min=1e-18).sqrt() * 5**0.5
    k = outputscale * (1 + r + r * r / 3) * torch.exp(-r)
    k = k + noise * torch.eye(len(y)) + first * (x[:, None, 0] == x[None, :, 0])
    k = k + second * (x[:, None, :2] == x[None, :, :2]).all(-1)
    mean = torch.full_like(y, h.constant)
    density = torch.distributions.MultivariateNormal(mean, k).log_prob(y)
    for prior, part in module._priors(D, 1, 2):
        v = theta[part].exp()
        density = density + ((prior.concentration - 1) * v.log() - prior.rate * v).sum()
    (gradient,) = torch.autograd.grad(density, theta)
    inside = theta.detach() > module.BOUNDS["noise"][0] + 1e-6  # a bound holds against its slope
    assert gradient[inside].abs().max() < 0.05
