"""Warm-up points: the default first, then space-filling points that share their early stages."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from kedro_eeipu.optimizer.stages import ReuseGraph
from kedro_eeipu.optimizer.unit_cube import Space

__all__ = ["warmup_points", "warmup_trials"]

# Columns of the last stages change with every point, all others with every second one.
_EARLY_PERIOD = 2


def warmup_trials(d: int) -> int:
    """How many trials of a space with d parameters come before the first model-based proposal."""
    return max(4, min(10, 2 * d))


def warmup_points(
    space: Space, graph: ReuseGraph, count: int, seed: int, default: Sequence[float] | None
) -> list[Tensor]:
    """`count` configurations of length d, NaN where inactive.

    Every column runs through its own scrambled Sobol sequence; columns that reach a stage with
    dependants keep their value for two points, so that the second point reuses that stage.
    """
    first_stage = {
        j: min((s for s in graph.order if j in graph.columns[s]), key=graph.depth, default=None)
        for j in range(space.d)
    }
    early = torch.tensor(
        [
            s is not None and any(graph.columns[c] > graph.columns[s] for c in graph.children[s])
            for s in first_stage.values()
        ],
        dtype=torch.bool,
    )
    start = [] if default is None else [space.reveal(torch.tensor(default, dtype=torch.float64))]
    sobol = SobolEngine(space.d, scramble=True, seed=seed).draw(count, dtype=torch.float64)
    index = torch.arange(count - len(start)) if count > len(start) else torch.arange(0)
    points = torch.where(early, sobol[index // _EARLY_PERIOD], sobol[index])
    return [space.hide(space.snap(z)) for z in [*start, *points]]
