"""Which parameters matter, over the whole range and among the best, with intervals.

For a region R of the space and a set J of columns,

    total(J) = E[Var(f | x_-J, R)] / Var(f | R)

is the share of the variance of f in R that is left when all but J are known: Sobol's total index
where R is the whole space. Among the best, R is the best tenth of the space: there it says how much
the value of a good configuration still changes when only J changes and it stays among the best.
For a single column,

    alone(j) = Var(E[f | x_j, R]) / Var(f | R)

is what it explains by itself. Totals add up to more than one where parameters interact. f is drawn
from the posterior; an interval holds 90 % of the draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from kedro_eeipu.optimizer.beliefs import Beliefs, Draws
from kedro_eeipu.optimizer.threads import one_thread
from kedro_eeipu.optimizer.unit_cube import Space

__all__ = ["Importance", "Share", "importance"]

# Sets of hyperparameters and draws under each; fewer where draws take long.
_FITS, _EACH, _FEWEST_FITS = 16, 4, 4
_POOL = 1024
# Changed points per base point over the range, and among the best, which may be a narrow place;
# points in all, from which the number of base points follows.
_CHANGES = (14, 48)
_POINTS = 24_000
_MOST_BASES, _FEWEST_BASES = 128, 8
_BEST = 0.1
_BINS = 12


@dataclass(frozen=True)
class Share:
    """A share of variance, the median of the draws, with an interval that holds 90 % of them."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Importance:
    """Importances in one region.

    Attributes:
        total: Of each column, with its interactions.
        alone: Of each column, without them.
        groups: Totals of sets of columns, in the order asked for.
    """

    total: tuple[Share, ...]
    alone: tuple[Share, ...]
    groups: tuple[Share, ...]


def importance(
    beliefs: Beliefs, groups: Sequence[frozenset[int]] = (), seed: int = 0
) -> tuple[Importance, Importance]:
    """Importances over the range, and among the best.

    Args:
        beliefs: Of the objective, which is maximised.
        groups: Sets of columns, such as those that enter with a stage.
        seed: Of the draws.
    """
    with one_thread(), torch.no_grad():
        return _importance(beliefs, groups, seed)


def _importance(
    beliefs: Beliefs, groups: Sequence[frozenset[int]], seed: int
) -> tuple[Importance, Importance]:
    sets = [frozenset({j}) for j in range(beliefs.space.d)]
    sets += [g for g in dict.fromkeys(groups) if len(g) > 1]
    # Each set of hyperparameters has its own points: what they leave open shows in the interval.
    fits = _FEWEST_FITS if beliefs.large else _FITS
    points = 0 if beliefs.large else _POINTS
    parts = [
        _drawn(draws, sets, points, seed + i)
        for i, draws in enumerate(beliefs.draws(fits, _EACH, seed))
    ]
    regions = []
    for region in range(2):
        total = torch.cat([part[region][0] for part in parts], dim=1)
        alone = torch.cat([part[region][1] for part in parts], dim=1)
        totals = dict(zip(sets, map(_share, total), strict=True))
        own = tuple(totals[columns] for columns in sets[: beliefs.space.d])
        named = tuple(totals.get(g, _NOTHING) for g in groups)
        regions.append(Importance(own, tuple(map(_share, alone)), named))
    return regions[0], regions[1]


def _drawn(
    draws: Draws, sets: Sequence[frozenset[int]], points: int, seed: int
) -> list[tuple[Tensor, Tensor]]:
    """Totals of sets of columns and what columns are alone, by draw, in both regions."""
    space = draws.space
    generator = torch.Generator().manual_seed(seed)
    # Shuffled: each eighth point of a Sobol sequence knows an eighth of the space.
    order = torch.randperm(_POOL, generator=generator)
    pool = _spread(space, _uniform(_POOL, space.d, seed)[order], range(space.d))
    values = draws(pool)  # P x S
    best = values >= values.quantile(1 - _BEST, dim=0)
    regions = []
    for region, changes in zip((torch.ones_like(best), best), _CHANGES, strict=True):
        count = int(points / (2 * changes * len(sets)))
        count = min(_MOST_BASES, max(_FEWEST_BASES, count))
        bases, weight = _bases(region.sum(1).double(), count, generator)
        weights = region[bases] * weight[:, None]  # N x S
        floor = torch.where(region, values, torch.inf).amin(0)
        spread = _variance(values, region)
        total = [
            _total(draws, pool[bases], at, weights, floor, spread, changes, seed) for at in sets
        ]
        alone = [_alone(pool[:, j], values, region, spread) for j in range(space.d)]
        regions.append((torch.stack(total), torch.stack(alone)))
    return regions


_NOTHING = Share(0.0, 0.0, 0.0)


def _uniform(count: int, d: int, seed: int) -> Tensor:
    return SobolEngine(d, scramble=True, seed=seed).draw(count, dtype=torch.float64)


def _spread(space: Space, u: Tensor, columns: Sequence[int]) -> Tensor:
    """Uniform values `B x columns` as values of columns, each level as likely as any other."""
    z = u.clone()
    for i, j in enumerate(columns):
        dimension = space.dimensions[j]
        level = (u[:, i] * dimension.levels).long().clamp(max=max(dimension.levels - 1, 0))
        if dimension.places:
            z[:, i] = torch.tensor(dimension.places, dtype=torch.float64)[level]
        elif dimension.levels:
            z[:, i] = level / max(dimension.levels - 1, 1)
    return z


def _bases(chance: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points chosen as often as draws have them in the region, and the weights that undo it."""
    share = chance / chance.sum()
    steps = (torch.arange(count) + torch.rand(1, generator=generator)) / count
    bases = torch.searchsorted(share.cumsum(0), steps.double()).clamp(max=len(chance) - 1)
    return bases, 1 / share[bases].clamp(min=1e-12)


def _variance(values: Tensor, region: Tensor) -> Tensor:
    """Of each draw in its region, `S`."""
    count = region.sum(0).clamp(min=2)
    mean = (values * region).sum(0) / count
    return ((values - mean).square() * region).sum(0) / (count - 1)


def _total(
    draws: Draws,
    bases: Tensor,
    columns: frozenset[int],
    weights: Tensor,
    floor: Tensor,
    spread: Tensor,
    count: int,
    seed: int,
) -> Tensor:
    """The share of variance, by draw, that is left when all other columns are known.

    Args:
        draws: The draws.
        bases: Latent points of the region, `N x d`.
        columns: The columns that change.
        weights: Of the points in each draw's mean, `N x S`.
        floor: Smallest value of each draw in the region, `S`.
        spread: Variance of each draw in the region, `S`.
        count: Of the changes of each point.
        seed: Of the changes.
    """
    at = sorted(columns)
    space = draws.space
    changes = _uniform(count * len(bases), len(at), seed + at[0])
    # Of one column, each point gets the whole of its range.
    if len(at) == 1:
        shift = changes.reshape(len(bases), count)[:, :1]
        changes = ((torch.arange(count) + shift) / count).reshape(-1, 1)
    z = bases.repeat_interleave(count, 0)
    z[:, at] = _spread(space, changes, at)
    changed = draws(z).reshape(len(bases), count, -1)
    inside = changed >= floor
    within = inside.sum(1)
    mean = (changed * inside).sum(1) / within.clamp(min=1)
    # Evenly spread points know their mean better than random ones.
    free = within - int(len(at) > 1)
    variance = ((changed - mean[:, None]).square() * inside).sum(1) / free.clamp(min=1)
    left = (variance * weights).sum(0) / weights.sum(0).clamp(min=1e-12)
    return left / spread.clamp(min=1e-300)


def _alone(x: Tensor, values: Tensor, region: Tensor, spread: Tensor) -> Tensor:
    """The share of variance between the mean values of a column's levels or parts."""
    levels, bins = x.unique(return_inverse=True)
    if len(levels) > _BINS:
        bins = (x * _BINS).long().clamp(max=_BINS - 1)
    hot = torch.nn.functional.one_hot(bins).double()  # P x bins
    count = hot.T @ region.double()
    sums = hot.T @ (values * region)
    mean = sums.sum(0) / count.sum(0)
    within = hot.T @ (values.square() * region) - sums.square() / count.clamp(min=1)
    between = (count * (sums / count.clamp(min=1) - mean).square()).sum(0)
    # What the means of so few points differ by chance is taken off.
    total = count.sum(0)
    filled = (count > 0).sum(0)
    chance = within.clamp(min=0).sum(0) / (total - filled).clamp(min=1) * (filled - 1)
    return (between - chance) / (total - 1).clamp(min=1) / spread.clamp(min=1e-300)


def _share(draws: Tensor) -> Share:
    draws = draws.clamp(0, 1)
    low, middle, high = draws.quantile(torch.tensor([0.05, 0.5, 0.95]).to(draws)).tolist()
    return Share(middle, low, high)
