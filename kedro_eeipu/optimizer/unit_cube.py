"""The search space on the unit cube: levels, categories and conditions.

Notation, used throughout the package:

========  ===========================================================================
d         number of tuned parameters (columns)
n         number of trials that the optimizer has been told
x         a configuration, length d, in [0, 1], NaN where a parameter is inactive
z         a latent configuration, length d, no NaN: x before its inactive columns are hidden
phi(z)    features of z, length D >= d: what the surrogates' distances are taken on
========  ===========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Dimension", "Space", "identity"]

# Where an inactive parameter stands for the surrogates: all inactive values are the same point.
_INACTIVE = 0.5
# Proposals live on a grid this fine, so that a value that went through the user's own units and
# back (a logarithm, say) is recognised as the one that was proposed.
RESOLUTION = 1e12


@dataclass(frozen=True)
class Dimension:
    """One tuned parameter on the unit interval.

    Args:
        levels: 0 for a continuous parameter on [0, 1]; n >= 1 for the n equally spaced values
            k / (n - 1) (n = 1: always 0).
        ordered: False for a categorical, whose levels are all at distance one from each other.
        places: positions of an ordered parameter's levels on [0, 1], ascending, if they are not
            equally spaced (integers on a logarithmic scale).
        active_when: column of the controlling parameter and those of its levels at which this
            parameter exists. The controlling parameter may itself be conditional.
    """

    levels: int = 0
    ordered: bool = True
    active_when: tuple[int, frozenset[int]] | None = None
    places: tuple[float, ...] = ()


def identity(x: Iterable[float]) -> tuple[float, ...]:
    """Hashable identity of values on the unit interval, NaN equal to NaN."""
    return tuple([-1.0 if u != u else u for u in x])


class Space:
    """The unit cube with levels, categories and conditions.

    Raises:
        ValueError: there is no column, a category has no levels, places do not fit the levels, or a
            condition is on a column that does not exist, lacks its levels, or depends on itself.
    """

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self.dimensions = tuple(dimensions)
        self.d = len(self.dimensions)
        if not self.dimensions:
            raise ValueError("there is nothing to tune: no dimensions")
        for j, dimension in enumerate(self.dimensions):
            if dimension.levels < 0:
                raise ValueError(f"column {j}: levels must not be negative")
            if not dimension.ordered and dimension.levels == 0:
                raise ValueError(f"column {j}: a categorical needs at least one level")
            if dimension.places and len(dimension.places) != dimension.levels:
                raise ValueError(
                    f"column {j}: {len(dimension.places)} places for {dimension.levels} levels"
                )
            places = list(dimension.places)
            if places and (places != sorted(set(places)) or not 0 <= places[0] <= places[-1] <= 1):
                raise ValueError(f"column {j}: places must ascend within [0, 1]")
            if places and not dimension.ordered:
                raise ValueError(f"column {j}: the levels of a categorical have no places")
        self._activation_order = self._order_conditions()
        self.levels = torch.tensor([dimension.levels for dimension in self.dimensions])
        self.ordered = torch.tensor([bool(dimension.ordered) for dimension in self.dimensions])
        self._places = {
            j: torch.tensor(dimension.places, dtype=torch.float64)
            for j, dimension in enumerate(self.dimensions)
            if dimension.places
        }
        self.controls = torch.zeros(self.d, dtype=torch.bool)
        for dimension in self.dimensions:
            if dimension.active_when is not None:
                self.controls[dimension.active_when[0]] = True
        self.feature_column = torch.tensor(
            [
                j
                for j, dimension in enumerate(self.dimensions)
                for _ in range(1 if dimension.ordered else dimension.levels)
            ],
            dtype=torch.long,
        )

    def _order_conditions(self) -> list[int]:
        """Conditional columns, each after the column that controls it."""
        order: list[int] = []
        for start in range(self.d):
            chain: list[int] = []
            j = start
            while (condition := self.dimensions[j].active_when) is not None and j not in order:
                if j in chain:
                    raise ValueError(f"column {j}: its condition depends on itself")
                chain.append(j)
                j = condition[0]
                if not 0 <= j < self.d or self.dimensions[j].levels == 0:
                    raise ValueError(f"column {chain[-1]}: controlled by a column without levels")
                if not condition[1] <= frozenset(range(self.dimensions[j].levels)):
                    raise ValueError(f"column {chain[-1]}: column {j} has not all of these levels")
            order += reversed(chain)
        return order

    def controllers(self, columns: frozenset[int]) -> frozenset[int]:
        """`columns` together with every column that decides whether one of them is active."""
        closed = set(columns)
        for j in columns:
            while (condition := self.dimensions[j].active_when) is not None:
                j = condition[0]
                closed.add(j)
        return frozenset(closed)

    @property
    def size(self) -> int:
        """Number of distinct configurations of a space of levels only; 0 when it is infinite.

        Conditions are not taken into account, so it is an upper bound where there are any.
        """
        size = 1
        for dimension in self.dimensions:
            size *= dimension.levels
        return size

    def configurations(self) -> Iterator[tuple[float, ...]]:
        """All configurations of a space of levels only, each once; of an infinite space none."""
        if not self.size:
            return
        free = [j for j, dimension in enumerate(self.dimensions) if dimension.active_when is None]
        order = [*free, *self._activation_order]
        places = [
            self._places[j].tolist()
            if j in self._places
            else [k / max(1, dimension.levels - 1) for k in range(dimension.levels)]
            for j, dimension in enumerate(self.dimensions)
        ]

        def completed(chosen: dict[int, int]) -> Iterator[tuple[float, ...]]:
            if len(chosen) == self.d:
                yield tuple(
                    math.nan if chosen[j] < 0 else places[j][chosen[j]] for j in range(self.d)
                )
                return
            j = order[len(chosen)]
            condition = self.dimensions[j].active_when
            inactive = condition is not None and chosen[condition[0]] not in condition[1]
            for level in [-1] if inactive else range(self.dimensions[j].levels):
                yield from completed({**chosen, j: level})

        yield from completed({})

    def check(self, x: Sequence[float], what: str) -> None:
        """Complain of what is no configuration.

        Raises:
            ValueError: it has not d columns, or one outside [0, 1].
        """
        if len(x) != self.d:
            raise ValueError(f"{what} has {len(x)} of {self.d} columns")
        for j, u in enumerate(x):
            if not (0 <= u <= 1 or math.isnan(u)):
                raise ValueError(f"{what} has {u} in column {j}: columns are scaled to [0, 1]")

    def level(self, z: Tensor) -> Tensor:
        """Nearest level of each column, `... x d` (0 in continuous columns)."""
        level = torch.round(z * (self.levels - 1).clamp(min=0)).to(torch.long)
        for j, places in self._places.items():
            middles = (places[1:] + places[:-1]) / 2
            level[..., j] = torch.bucketize(z[..., j].detach().double().contiguous(), middles)
        return level

    def at_levels(self, level: Tensor) -> Tensor:
        """The exact places of levels, k / (n - 1) by default, `... x d`, in double precision."""
        z = level.to(torch.float64) / (self.levels - 1).clamp(min=1).to(torch.float64)
        for j, places in self._places.items():
            z[..., j] = places[level[..., j].clamp(0, len(places) - 1)]
        return z

    def snap(self, z: Tensor) -> Tensor:
        """`z` with every column moved to its nearest level, `... x d`."""
        fine = torch.round(z.clamp(0, 1) * RESOLUTION) / RESOLUTION
        return torch.where(self.levels > 0, self.at_levels(self.level(z)), fine)

    def active(self, z: Tensor) -> Tensor:
        """Which parameters exist at `z`, bool `... x d`."""
        mask = torch.ones(z.shape, dtype=torch.bool)
        if self._activation_order:
            level = self.level(torch.nan_to_num(z, nan=0.0))
            for j in self._activation_order:
                column, admitted = self.dimensions[j].active_when or (j, frozenset())
                allowed = torch.zeros(self.dimensions[column].levels, dtype=torch.bool)
                allowed[sorted(admitted)] = True
                mask[..., j] = mask[..., column] & allowed[level[..., column]]
        return mask

    def reveal(self, x: Tensor) -> Tensor:
        """A latent point of `x`: NaN becomes the place of inactive values."""
        return torch.nan_to_num(x, nan=_INACTIVE)

    def hide(self, z: Tensor) -> Tensor:
        """The configuration of a latent point: NaN in its inactive columns."""
        return z.masked_fill(~self.active(z), float("nan"))

    def features(self, z: Tensor, active: Tensor) -> Tensor:
        """phi(z), `... x D`: ordered columns as they are, categories one-hot.

        One-hot vectors are divided by sqrt(2), so that two different categories are at distance
        one. Differentiable in the ordered columns.

        Args:
            z: `... x d` latent points.
            active: `... x d`, from `active(z)`.
        """
        z = torch.where(active, z, _INACTIVE)
        if len(self.feature_column) == self.d and bool(self.ordered.all()):
            return z
        parts = []
        level = self.level(z.detach())
        for j, dimension in enumerate(self.dimensions):
            if dimension.ordered:
                parts.append(z[..., j : j + 1])
            else:
                hot = torch.nn.functional.one_hot(level[..., j], dimension.levels).to(z.dtype)
                parts.append(hot * active[..., j : j + 1] / 2**0.5)
        return torch.cat(parts, dim=-1)
