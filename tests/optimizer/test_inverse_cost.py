from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kedro_eeipu.optimizer.inverse_cost import (
    base_samples,
    inverse_cost_by_quadrature,
    log_inverse_cost,
)


def estimate(mean: list[float], deviation: list[float], load: float = 0.0) -> float:
    mu, sd = (torch.tensor([v], dtype=torch.float64) for v in (mean, deviation))
    samples = base_samples(len(mean))
    loads = torch.tensor([load], dtype=torch.float64)
    return float(log_inverse_cost(mu, sd, torch.ones_like(mu), loads, samples).exp())


def exact(mean: list[float], deviation: list[float], load: float = 0.0) -> float:
    mu, sd = (torch.tensor(v, dtype=torch.float64) for v in (mean, deviation))
    return inverse_cost_by_quadrature(mu, sd, load)


@pytest.mark.parametrize("deviation", [0.01, 0.5, 1.0, 1.5])
def test_quadrature_of_one_stage_is_the_closed_form(deviation: float) -> None:
    closed = math.exp(-2.0 + deviation**2 / 2)
    assert exact([2.0], [deviation]) == pytest.approx(closed, rel=1e-4)


def test_quadrature_of_known_costs() -> None:
    assert exact([math.log(3), math.log(5)], [1e-6, 1e-6], load=2.0) == pytest.approx(0.1, rel=1e-4)


@settings(deadline=None, max_examples=20)
@given(
    st.integers(1, 8).flatmap(
        lambda k: st.tuples(
            st.lists(st.floats(-3, 3), min_size=k, max_size=k),
            st.lists(st.floats(0.0, 1.5), min_size=k, max_size=k),
        )
    ),
    st.sampled_from([0.0, 0.1]),
)
def test_within_one_percent_of_the_quadrature(parts: Any, load: float) -> None:
    mean, deviation = parts
    assert estimate(mean, deviation, load) == pytest.approx(exact(mean, deviation, load), rel=0.01)


def test_stages_do_not_rise_and_fall_together() -> None:
    samples = base_samples(5)
    correlation = torch.corrcoef(samples.T)
    assert (correlation - torch.eye(5, dtype=torch.float64)).abs().max() < 0.05


def test_reused_stages_cost_nothing_and_have_no_gradient() -> None:
    mean = torch.tensor([[1.0, 2.0]], dtype=torch.float64, requires_grad=True)
    deviation = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    share = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    value = log_inverse_cost(mean, deviation, share, torch.zeros(1).double(), base_samples(2))
    (gradient,) = torch.autograd.grad(value.sum(), mean)
    assert gradient[0].tolist() == pytest.approx([-1.0, 0.0], abs=1e-9)
    assert math.exp(value.item()) == pytest.approx(math.exp(-1 + 0.125), rel=0.01)
