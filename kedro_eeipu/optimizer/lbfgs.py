"""Projected L-BFGS for many small box-constrained problems at once.

Each row of a batch is its own minimisation with its own curvature pairs and step; one call of the
objective serves all rows. SciPy's L-BFGS-B solves one problem a call, and joining the rows to one
long problem would make them share a step length.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["minimize_rows"]

_ARMIJO = 1e-4
_MAX_FIRST_STEP = 0.1
_PATIENCE = 3


def minimize_rows(
    value_and_gradient: Callable[[Tensor], tuple[Tensor, Tensor]],
    start: Tensor,
    lower: Tensor,
    upper: Tensor,
    *,
    max_evaluations: int = 40,
    memory: int = 8,
    tolerance: float = 1e-5,
    value_tolerance: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Local minima of all rows inside the box.

    Args:
        value_and_gradient: maps `B x d` to values `B` and gradients `B x d`.
        start: `B x d`, clamped into the box.
        lower: `B x d` lower bounds; equal to `upper` where a coordinate is fixed.
        upper: `B x d` upper bounds.
        max_evaluations: calls of the objective.
        memory: curvature pairs kept per row.
        tolerance: a row is done when its projected gradient is nowhere larger.
        value_tolerance: a row is done, too, when it gained no more in three evaluations running.

    Returns:
        The best points seen, `B x d`, and their values, `B`.
    """
    x = torch.minimum(torch.maximum(start, lower), upper)
    f, g = value_and_gradient(x)
    idle = torch.zeros(len(f), dtype=torch.long)
    pairs: list[tuple[Tensor, Tensor, Tensor]] = []
    direction = _descent(x, g, pairs, lower, upper)
    first = _MAX_FIRST_STEP / direction.abs().amax(dim=-1).clamp(min=1e-12)
    step = torch.minimum(torch.ones_like(first), first)
    for _ in range(max_evaluations - 1):
        trial = torch.minimum(torch.maximum(x + step[:, None] * direction, lower), upper)
        f_trial, g_trial = value_and_gradient(trial)
        moved = trial - x
        accepted = f_trial <= f + _ARMIJO * torch.minimum((g * moved).sum(-1), torch.zeros_like(f))
        # A pair of a rejected row is stored with weight zero, so that rows keep one history.
        y = g_trial - g
        sy = (moved * y).sum(-1)
        useful = accepted & (sy > 1e-10 * (y * y).sum(-1))
        rho = torch.where(useful, 1 / sy.clamp(min=1e-300), torch.zeros_like(sy))
        if bool(useful.any()):
            pairs.append((moved, y, rho))
            del pairs[:-memory]
        gained = torch.where(accepted, f - f_trial, torch.zeros_like(f))
        idle = torch.where(gained > value_tolerance, 0, idle + 1)
        x = torch.where(accepted[:, None], trial, x)
        g = torch.where(accepted[:, None], g_trial, g)
        f = torch.where(accepted, f_trial, f)
        new_direction = _descent(x, g, pairs, lower, upper)
        direction = torch.where(accepted[:, None], new_direction, direction)
        step = torch.where(accepted, torch.ones_like(step), step * 0.3)
        done = (_projected(x, g, lower, upper).abs().amax(-1) < tolerance) | (step < 1e-6)
        if bool((done | (idle >= _PATIENCE)).all()):
            break
    return x, f


def _projected(x: Tensor, g: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """Gradient without the coordinates that a bound holds."""
    held = ((x <= lower) & (g > 0)) | ((x >= upper) & (g < 0))
    return g.masked_fill(held, 0.0)


def _descent(
    x: Tensor,
    g: Tensor,
    pairs: list[tuple[Tensor, Tensor, Tensor]],
    lower: Tensor,
    upper: Tensor,
) -> Tensor:
    """Two-loop recursion on the free coordinates; steepest descent where it does not descend."""
    free_g = _projected(x, g, lower, upper)
    free = (free_g != 0).to(g.dtype)
    q = free_g.clone()
    alphas = []
    scale = torch.ones(len(g), dtype=g.dtype)
    for s, y, rho in reversed(pairs):
        alpha = rho * (s * q).sum(-1)
        q = q - alpha[:, None] * y * free
        alphas.append(alpha)
    for s, y, rho in pairs:
        ratio = (s * y).sum(-1) / (y * y).sum(-1).clamp(min=1e-300)
        scale = torch.where(rho > 0, ratio, scale)
    q = q * scale[:, None]
    for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
        q = q + (alpha - rho * (y * q).sum(-1))[:, None] * s * free
    slope = -(free_g * q).sum(-1)
    descends = (slope < 0) & torch.isfinite(q).all(-1)
    direction = torch.where(descends[:, None], -q, -free_g)
    return direction * free
