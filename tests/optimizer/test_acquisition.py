from __future__ import annotations

import pytest
import torch
from botorch.acquisition.analytic import LogExpectedImprovement
from botorch.models.deterministic import GenericDeterministicModel
from botorch.posteriors import GPyTorchPosterior
from gpytorch.distributions import MultivariateNormal

from kedro_eeipu.optimizer.acquisition import EEIPU, log_expected_improvement
from kedro_eeipu.optimizer.hyperparameters import Hyperparameters
from kedro_eeipu.optimizer.inverse_cost import base_samples
from kedro_eeipu.optimizer.surrogates import Surrogates, TrainingData


class StandardNormalAt(GenericDeterministicModel):
    """f(u) ~ N(u, 1)."""

    def posterior(self, X, *args, **kwargs):
        return GPyTorchPosterior(MultivariateNormal(X[..., 0], torch.ones(1, 1).double()))


def test_log_ei_is_that_of_botorch_from_the_best_to_the_hopeless() -> None:
    u = torch.cat([torch.linspace(-60, 5, 200), torch.tensor([-1e3, -1e5])]).double()
    ours = log_expected_improvement(u, torch.ones_like(u), 0.0)
    theirs = LogExpectedImprovement(StandardNormalAt(lambda x: x), best_f=0.0)(u[:, None, None])
    assert torch.allclose(ours, theirs, rtol=1e-6)


def acquisition(eta: float) -> EEIPU:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(20, 4, generator=generator, dtype=torch.float64)
    everything, early = frozenset(range(4)), frozenset({0, 1})
    parts = [
        TrainingData(x, torch.sin(4 * x.sum(-1)), (everything, early)),
        TrainingData(x[:9], x[:9, 0] * 3, (early,)),
        TrainingData(x, x[:, 1] - x[:, 3], (everything,)),
    ]
    length = torch.full((4,), 0.5, dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    fitted = [
        Hyperparameters(length, torch.tensor([1.0, 0.5], dtype=torch.float64), 1e-4, 0.0),
        Hyperparameters(length, one, 1e-2, 0.0),
        Hyperparameters(length, one, 1e-2, 0.0),
    ]
    return EEIPU(Surrogates(parts, fitted, torch.arange(4)), 0.9, eta, base_samples(2))


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_gradients_match_finite_differences(eta: float) -> None:
    function = acquisition(eta)
    x = torch.rand(6, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    share = torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.5, 1.0]] * 2, dtype=torch.float64)
    load = torch.tensor([0.0, 0.3, 0.0] * 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda z: function(z, share, load), (x.requires_grad_(),), eps=1e-6, atol=1e-5, rtol=1e-4
    )


def test_gradient_is_finite_on_a_training_point() -> None:
    function = acquisition(1.0)
    x = torch.rand(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    value = function(x.requires_grad_(), torch.ones(20, 2).double(), torch.zeros(20).double())
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert torch.isfinite(value).all()
    assert torch.isfinite(gradient).all()


def test_cost_counts_with_the_exponent_eta() -> None:
    x = torch.full((1, 4), 0.3, dtype=torch.float64)
    arguments = (x, torch.ones(1, 2).double(), torch.zeros(1).double())
    log_ei, log_inverse = acquisition(1.0).parts(*arguments)
    for eta in (0.0, 0.5, 1.0):
        assert float(acquisition(eta)(*arguments)) == pytest.approx(
            float(log_ei + eta * log_inverse)
        )
