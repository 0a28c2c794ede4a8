from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from scipy.optimize import minimize

from kedro_eeipu.optimizer.lbfgs import minimize_rows


def rosenbrock(x: torch.Tensor) -> torch.Tensor:
    return (100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2).sum(-1)


def with_gradient(function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    def both(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = x.detach().requires_grad_()
        value = function(x)
        (gradient,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), gradient

    return both


def test_rows_reach_their_minimum_each_within_its_box() -> None:
    start = torch.rand(12, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lower = torch.zeros_like(start)
    upper = torch.linspace(0.3, 1.5, 12, dtype=torch.float64)[:, None].expand(-1, 3).clone()
    x, f = minimize_rows(with_gradient(rosenbrock), start, lower, upper, max_evaluations=200)
    assert ((x >= lower) & (x <= upper)).all()
    for i in range(12):
        expected = minimize(
            lambda v: float(rosenbrock(torch.tensor(v)[None])),
            start[i].clamp(max=float(upper[i, 0])).numpy(),
            bounds=[(0.0, float(upper[i, 0]))] * 3,
            method="L-BFGS-B",
        )
        assert float(f[i]) <= expected.fun + 1e-3


def test_fixed_coordinates_stay() -> None:
    start = torch.rand(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    lower, upper = torch.zeros_like(start), torch.ones_like(start)
    lower[:, 1] = upper[:, 1] = start[:, 1]
    x, f = minimize_rows(with_gradient(rosenbrock), start, lower, upper)
    assert x[:, 1].tolist() == start[:, 1].tolist()
    assert (f <= rosenbrock(start)).all()


def test_minimum_in_a_corner() -> None:
    start = torch.full((3, 2), 0.4, dtype=torch.float64)
    x, _ = minimize_rows(
        with_gradient(lambda z: z[:, 0] - 2 * z[:, 1]),
        start,
        torch.zeros_like(start),
        torch.ones_like(start),
    )
    assert x.tolist() == [[0.0, 1.0]] * 3
