"""A range as Optuna knows it, and its values on the unit interval as the optimizer knows them.

The n values of a category, and those of a range with steps, are at 0, 1 / (n - 1), …, 1. On
a logarithmic scale, or if there are very many, a value's distances to the ends give its place.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from kedro_eeipu.search import Range, SearchSpace, StageGraph

if TYPE_CHECKING:
    from kedro_eeipu.optimizer import Dimension, Stage

__all__ = [
    "dimension",
    "distribution",
    "distributions",
    "from_unit",
    "optimizer_stages",
    "to_unit",
]

# Optuna's own storages take lists and mappings as choices, as JSON.
warnings.filterwarnings("ignore", message="Choices for a categorical distribution should be")

# As in `kedro_eeipu.optimizer.unit_cube.RESOLUTION`, which is not imported for it brings torch.
_RESOLUTION = 1e12


def distribution(r: Range) -> BaseDistribution:
    """A range as Optuna knows it."""
    if r.kind == "categorical":
        return CategoricalDistribution(r.choices)
    if r.kind == "int":
        return IntDistribution(int(r.low), int(r.last), log=r.log, step=int(r.step or 1))
    return FloatDistribution(r.low, r.last, log=r.log, step=r.step)


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """All ranges of a space as Optuna knows them, by path."""
    return {r.path: distribution(r) for r in space}


def dimension(space: SearchSpace, r: Range) -> Dimension:
    """A range of a space as the optimizer knows it."""
    from kedro_eeipu.optimizer import Dimension

    condition = None
    for path, allowed in r.when:
        parent = next(other for other in space if other.path == path)
        levels = frozenset(_level(parent, value) for value in allowed)
        condition = (space.paths.index(path), levels)
    places: tuple[float, ...] = ()
    if r.kind == "int" and r.log and r.levels:
        places = tuple(to_unit(r, value) for value in range(int(r.low), int(r.last) + 1))
    return Dimension(
        levels=r.levels,
        ordered=r.kind != "categorical",
        active_when=condition,
        places=places,
    )


def optimizer_stages(space: SearchSpace, graph: StageGraph) -> list[Stage]:
    """The stages as the optimizer knows them."""
    from kedro_eeipu.optimizer import Stage

    return [
        Stage(frozenset(map(space.paths.index, stage.parameters)), stage.parents) for stage in graph
    ]


def to_unit(r: Range, value: Any) -> float:
    """The place of a value on the unit interval, on the optimizer's grid.

    Raises:
        ValueError: The range is categorical and has no such choice.
    """
    if r.kind == "categorical":
        return _level(r, value) / max(1, r.levels - 1)
    low, high = r.low, r.last
    if high == low:
        return 0.0
    if r.levels and not r.log:
        return _level(r, value) / (r.levels - 1)
    u = math.log(value / low) / math.log(high / low) if r.log else (value - low) / (high - low)
    return round(u * _RESOLUTION) / _RESOLUTION


def from_unit(r: Range, u: float) -> Any:
    """The value at a place on the unit interval."""
    if r.kind == "categorical":
        return r.choices[round(u * (r.levels - 1))]
    low, high = r.low, r.last
    value = low * (high / low) ** u if r.log else low + u * (high - low)
    if r.spacing and not r.log:
        value = r.at(round((value - low) / r.spacing))
    value = min(max(value, low), high)
    return round(value) if r.kind == "int" else float(value)


def _level(r: Range, value: Any) -> int:
    """Which of the values of a range this one is.

    Raises:
        ValueError: The range is categorical and has no such choice.
    """
    if r.kind != "categorical":
        level: int = round((value - r.low) / float(r.spacing or 1))
        return level
    for i, choice in enumerate(r.choices):  # NaN, which a file can hold, is not equal to itself
        if choice == value or (choice != choice and value != value):
            return i
    raise ValueError(f"{value!r} is not a choice of '{r.path}'")
