"""Maximisation of the acquisition function over all cuts at once.

Every row of a batch is a point of one cut: the cut's columns hold its exact values, the others
move. Rows are first screened without gradients; the best few are improved by projected L-BFGS in
their ordered columns and by steps to neighbouring levels. Columns of few levels never leave their
levels; those of many levels are relaxed once, snapped, and then improved as levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from kedro_eeipu.optimizer.acquisition import EEIPU
from kedro_eeipu.optimizer.cuts import CacheView, Cut
from kedro_eeipu.optimizer.lbfgs import minimize_rows
from kedro_eeipu.optimizer.unit_cube import Space

__all__ = ["Candidate", "CutSearch", "CutTable", "cut_table"]

_FREE_SAMPLES = 384
_CUT_SAMPLES = 16
_LOCAL_SPREAD = 0.1
_SCREENED_AT_ONCE = 128  # keeps the kernel matrices in the processor's cache
_STARTS = 24
_STARTS_PER_CUT = 3
_POLISHED = 8  # starts whose levels are improved, where there are any
_EVALUATIONS = 30
_TOLERANCE = 1e-3  # of the acquisition, which is a logarithm
_RELAX_ABOVE = 8
_NEIGHBOUR_ROUNDS = 4
_MAX_CATEGORIES_TRIED = 16


@dataclass(frozen=True)
class CutTable:
    """Candidate cuts as tensors, one row a cut.

    Args:
        cuts: C cuts.
        values: `C x d`, their values, anything in free columns.
        fixed: bool `C x d`.
        share: `C x K`, share of each stage's cost that is paid.
        load: `C`, seconds to load what is reused.
    """

    cuts: Sequence[Cut]
    values: Tensor
    fixed: Tensor
    share: Tensor
    load: Tensor

    def impose(self, z: Tensor, cut: Tensor) -> Tensor:
        """`z` with the columns of each row's cut set to their exact values."""
        return torch.where(self.fixed[cut], self.values[cut], z)


def cut_table(
    space: Space, view: CacheView, cuts: Sequence[Cut], loads: Sequence[float], told: int
) -> CutTable:
    """Candidate cuts with what they reuse and what that costs.

    Args:
        space: the search space.
        view: what is in the cache.
        cuts: C cuts.
        loads: `K`, seconds to load each stage's outputs.
        told: number of finished trials; what later ones share is half paid.
    """
    k = len(loads)
    values = torch.zeros(len(cuts), space.d, dtype=torch.float64)
    fixed = torch.zeros(len(cuts), space.d, dtype=torch.bool)
    share = torch.ones(len(cuts), k, dtype=torch.float64)
    load = torch.zeros(len(cuts), dtype=torch.float64)
    for c, cut in enumerate(cuts):
        for j, value in cut.values.items():
            values[c, j], fixed[c, j] = value, True
        x = [cut.values.get(j, math.nan) for j in range(space.d)]
        paid, load[c] = view.price(cut.stages, x, loads, told)
        share[c] = torch.tensor(paid, dtype=torch.float64)
    return CutTable(cuts, space.reveal(values), fixed, share, load)


@dataclass(frozen=True)
class Candidate:
    """A configuration with the cut it was found on."""

    x: tuple[float, ...]
    cut: int
    value: float


class CutSearch:
    """Search for the best points over all cuts.

    Args:
        space: the search space.
        acquisition: what to maximise.
        table: candidate cuts.
        incumbents: `I x d` latent points to sample around, at least one.
        seed: of the samples.
    """

    def __init__(
        self, space: Space, acquisition: EEIPU, table: CutTable, incumbents: Tensor, seed: int
    ) -> None:
        self.space = space
        self.acquisition = acquisition
        self.table = table
        self.incumbents = incumbents
        self.seed = seed

    @torch.no_grad()
    def run(self) -> list[Candidate]:
        """Candidates, the best first."""
        z, cut = self._samples()
        coarse = self.acquisition.coarse()
        rows = zip(z.split(_SCREENED_AT_ONCE), cut.split(_SCREENED_AT_ONCE), strict=True)
        chosen = self._select(torch.cat([self._evaluate(*row, coarse) for row in rows]), cut)
        z, cut = z[chosen], cut[chosen]
        value = self._evaluate(z, cut, self.acquisition)
        discrete = self.space.levels > 0
        many = self.space.ordered & (self.space.levels > _RELAX_ABOVE) & ~self.space.controls
        z, value = self._ascend(z, cut, value, ~discrete | many)
        if bool(discrete.any()):
            kept = torch.argsort(value, descending=True, stable=True)[:_POLISHED]
            z, cut, value = z[kept], cut[kept], value[kept]
            for _ in range(2):
                z, value = self._step_levels(z, cut, value)
                z, value = self._ascend(z, cut, value, ~discrete)
        best = torch.argsort(value, descending=True, stable=True)
        return [self._candidate(z[i], int(cut[i]), float(value[i])) for i in best]

    def _candidate(self, z: Tensor, cut: int, value: float) -> Candidate:
        x = self.space.hide(z).tolist()
        for j, exact in self.table.cuts[cut].values.items():
            x[j] = exact
        return Candidate(tuple(x), cut, value)

    def _evaluate(self, z: Tensor, cut: Tensor, acquisition: EEIPU) -> Tensor:
        return acquisition.value(z, self.table.share[cut], self.table.load[cut])

    def _samples(self) -> tuple[Tensor, Tensor]:
        """Starting points: half spread over the free columns, half around the incumbents."""
        cuts = len(self.table.cuts)
        cut = torch.cat(
            [
                torch.zeros(_FREE_SAMPLES, dtype=torch.long),
                torch.arange(1, cuts).repeat_interleave(_CUT_SAMPLES),
            ]
        )
        engine = SobolEngine(self.space.d, scramble=True, seed=self.seed)
        z = engine.draw(len(cut), dtype=torch.float64)
        local = torch.arange(len(cut)) % 2 == 1
        centre = self.incumbents[(torch.arange(len(cut)) // 2) % len(self.incumbents)]
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(z.shape, generator=generator, dtype=torch.float64)
        jump = torch.rand(z.shape, generator=generator) < 1 / self.space.d
        nearby = (centre + _LOCAL_SPREAD * noise).clamp(0, 1)
        keep_level = ~self.space.ordered & ~jump
        nearby = torch.where(keep_level, centre, torch.where(self.space.ordered, nearby, z))
        z = torch.where(local[:, None], nearby, z)
        return self.table.impose(self.space.snap(z), cut), cut

    def _select(self, value: Tensor, cut: Tensor) -> Tensor:
        """Indices of the best rows, a few of each cut at most."""
        most = _STARTS_PER_CUT if len(self.table.cuts) > 1 else _STARTS
        taken: dict[int, int] = {}
        chosen = []
        for i in torch.argsort(value, descending=True, stable=True).tolist():
            c = int(cut[i])
            if taken.get(c, 0) < most:
                taken[c] = taken.get(c, 0) + 1
                chosen.append(i)
                if len(chosen) == _STARTS:
                    break
        return torch.tensor(chosen)

    def _ascend(
        self, z: Tensor, cut: Tensor, value: Tensor, moving: Tensor
    ) -> tuple[Tensor, Tensor]:
        """L-BFGS in the free, active columns among `moving`; snapped, kept where it is better."""
        free = moving & self.space.active(z) & ~self.table.fixed[cut]
        if not bool(free.any()):
            return z, value
        share, load = self.table.share[cut], self.table.load[cut]

        def negative(point: Tensor) -> tuple[Tensor, Tensor]:
            point = point.requires_grad_()
            with torch.enable_grad():
                out = -self.acquisition.value(point, share, load)
                (gradient,) = torch.autograd.grad(out.sum(), point)
            return out.detach(), torch.where(free, gradient, 0.0)

        lower = torch.where(free, 0.0, z)
        upper = torch.where(free, 1.0, z)
        moved, _ = minimize_rows(
            negative,
            z,
            lower,
            upper,
            max_evaluations=_EVALUATIONS,
            value_tolerance=_TOLERANCE,
        )
        moved = self.table.impose(self.space.snap(moved.detach()), cut)
        moved_value = self._evaluate(moved, cut, self.acquisition)
        better = moved_value > value
        return torch.where(better[:, None], moved, z), torch.where(better, moved_value, value)

    def _step_levels(self, z: Tensor, cut: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Best single change of a level, again and again until no row gains."""
        for _ in range(_NEIGHBOUR_ROUNDS):
            row, neighbour = self._neighbours(z, cut)
            if len(row) == 0:
                break
            neighbour_value = self._evaluate(neighbour, cut[row], self.acquisition)
            best = value.clone()
            best.scatter_reduce_(0, row, neighbour_value, "amax")
            improved = torch.nonzero(neighbour_value >= best[row])[:, 0]
            improved = improved[neighbour_value[improved] > value[row[improved]]]
            if len(improved) == 0:
                break
            z, value = z.clone(), value.clone()
            z[row[improved]] = neighbour[improved]
            value[row[improved]] = neighbour_value[improved]
        return z, value

    def _neighbours(self, z: Tensor, cut: Tensor) -> tuple[Tensor, Tensor]:
        """Rows that differ from one of `z` in one level: next levels, or any other category."""
        free = self.space.active(z) & ~self.table.fixed[cut]
        level = self.space.level(z)
        rows, points = [], []
        for j, dimension in enumerate(self.space.dimensions):
            n = dimension.levels
            if n < 2:
                continue
            steps = [-1, 1] if dimension.ordered else range(1, min(n, _MAX_CATEGORIES_TRIED))
            for step in steps:
                target = level[:, j] + step
                target = target if dimension.ordered else target % n
                row = torch.nonzero(free[:, j] & (target >= 0) & (target < n))[:, 0]
                moved, levels = z[row].clone(), level[row].clone()
                levels[:, j] = target[row]
                moved[:, j] = self.space.at_levels(levels)[:, j]
                rows.append(row)
                points.append(moved)
        if not rows:
            return torch.empty(0, dtype=torch.long), z[:0]
        return torch.cat(rows), torch.cat(points)
