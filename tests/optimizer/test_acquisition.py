from __future__ import annotations

from typing import Any

import pytest
import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.exceptions.errors import UnsupportedError
from botorch.models import SingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.optim.optimize import optimize_acqf, optimize_acqf_mixed

from kedro_eeipu.optimizer.acquisition import EEIPU, StageCost
from kedro_eeipu.optimizer.hyperparameters import Hyperparameters
from kedro_eeipu.optimizer.inverse_cost import inverse_cost_by_quadrature
from kedro_eeipu.optimizer.surrogates import Surrogate, TrainingData


def points(n: int, d: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, d, generator=generator, dtype=torch.float64)


def of_the_optimizer(eta: float) -> EEIPU:
    """Surrogates of two stages, the first of which two columns reach, the second all."""
    x = points(20, 4)
    everything, early = frozenset(range(4)), frozenset({0, 1})
    length = torch.full((4,), 0.5, dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    objective = Hyperparameters(length, torch.tensor([1.0, 0.5]).double(), 1e-4, 0.0)
    cost = Hyperparameters(length, one, 1e-2, 0.0)
    parts = [
        (TrainingData(x, torch.sin(4 * x.sum(-1)), (everything, early)), objective),
        (TrainingData(x[:9], x[:9, 0] * 3, (early,)), cost),
        (TrainingData(x, x[:, 1] - x[:, 3], (everything,)), cost),
    ]
    model, *costs = (Surrogate(part, h, torch.arange(4)) for part, h in parts)
    return EEIPU(model, [StageCost(cost) for cost in costs], 0.9, eta)


@pytest.fixture(scope="module")
def models() -> tuple[SingleTaskGP, SingleTaskGP, SingleTaskGP]:
    """Plain BoTorch models of an objective and of the log seconds of two stages in a row."""
    x = points(16, 2, seed=2)
    y = -((x - 0.4) ** 2).sum(-1, keepdim=True)
    models = (
        SingleTaskGP(x, y),
        SingleTaskGP(x[:, :1], (2 + x[:, :1])),
        SingleTaskGP(x, x[:, 1:] - 1),
    )
    for model in models:
        model.covar_module.lengthscale = 0.5
        model.likelihood.noise = 0.1
    return models


def test_gradients_match_finite_differences() -> None:
    function = of_the_optimizer(0.4)
    share = torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.5, 1.0]], dtype=torch.float64)
    load = torch.tensor([1e-3, 0.3, 1e-3], dtype=torch.float64)
    x = points(3, 4, seed=5).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: function.value(z, share, load), (x,), eps=1e-6, atol=1e-5, rtol=1e-4
    )


def test_gradient_is_finite_on_a_training_point() -> None:
    x = points(20, 4).requires_grad_()
    value = of_the_optimizer(1.0)(x[:, None])
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert torch.isfinite(value).all()
    assert torch.isfinite(gradient).all()


def test_cost_counts_with_the_exponent_eta() -> None:
    x = torch.full((1, 4), 0.3, dtype=torch.float64)
    paid = (torch.ones(1, 2).double(), torch.full((1,), 0.5).double())
    log_ei, log_inverse = of_the_optimizer(1.0).parts(x, *paid)
    for eta in (0.0, 0.5, 1.0):
        value = of_the_optimizer(eta).value(x, *paid)
        assert float(value) == pytest.approx(float(log_ei + eta * log_inverse))


def test_any_botorch_models_give_improvement_times_the_exact_expected_inverse_cost(
    models: tuple[SingleTaskGP, ...],
) -> None:
    objective, first, second = models
    x = points(4, 2, seed=7)
    cached = torch.stack([x[1, :1], x[3, :1]])
    stages = [StageCost(first, (0,), cached, load=0.2), StageCost(second)]
    value = EEIPU(objective, stages, best_f=-0.1, overhead=0.05)(x[:, None])
    improvement = LogExpectedImprovement(objective, best_f=-0.1)(x[:, None])
    for i, reused in enumerate([False, True, False, True]):
        costs = [second.posterior(x[i : i + 1])]
        costs += [] if reused else [first.posterior(x[i : i + 1, :1])]
        mean = torch.tensor([float(cost.mean) for cost in costs]).double()
        deviation = torch.tensor([float(cost.variance) for cost in costs]).double().sqrt()
        exact = inverse_cost_by_quadrature(mean, deviation, 0.05 + 0.2 * reused)
        assert float((value - improvement)[i].exp()) == pytest.approx(exact, rel=0.005)


def test_botorch_optimizes_over_all_cuts(models: tuple[SingleTaskGP, ...]) -> None:
    objective, first, second = models
    cached = torch.tensor([[0.4000000000000001], [0.9]], dtype=torch.float64)
    function = EEIPU(objective, [StageCost(first, (0,), cached), StageCost(second)], best_f=-0.2)
    assert function.fixed_features_list() == [{}, {0: 0.4000000000000001}, {0: 0.9}]
    bounds = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    options: dict[str, Any] = {"q": 1, "num_restarts": 2, "raw_samples": 16}
    torch.manual_seed(0)
    best, value = optimize_acqf_mixed(
        function, bounds, fixed_features_list=function.fixed_features_list(), **options
    )
    assert best[0, 0].item() == 0.4000000000000001, "the cached value to its last bit"
    _, everywhere = optimize_acqf(function, bounds, **options)
    assert value is not None
    assert everywhere is not None
    assert value > everywhere + 1, "the first stage has most of the cost"


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"eta": 1.5}, "eta is a share"),
        ({"overhead": 0.0}, "overhead is in seconds"),
        ({"load": -1.0}, "stage 0: load is in seconds"),
        ({"cached": torch.zeros(2, 2)}, r"stage 0: cached is m x 1, not \(2, 2\)"),
    ],
)
def test_what_makes_no_sense_is_refused(
    models: tuple[SingleTaskGP, ...], wrong: dict[str, Any], complaint: str
) -> None:
    stage = {key: wrong.pop(key) for key in ("load", "cached") if key in wrong}
    with pytest.raises(ValueError, match=complaint):
        EEIPU(models[0], [StageCost(models[1], (0,), **stage)], best_f=0.0, **wrong)


def test_a_model_of_more_than_one_output_is_refused(models: tuple[SingleTaskGP, ...]) -> None:
    two = ModelListGP(models[0], models[2])
    with pytest.raises(UnsupportedError, match="cost model of stage 0"):
        EEIPU(models[0], [StageCost(two)], best_f=0.0)
    with pytest.raises(UnsupportedError):
        EEIPU(two, [StageCost(models[2])], best_f=0.0)
