"""The search space: ranges over the values of a project's own parameters.

A range is keyed by the dotted path of the parameter it varies. Its type follows the value that
``parameters.yml`` gives the parameter, so the ``eeipu`` block never repeats what is said there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from kedro_eeipu.errors import ConfigurationError

__all__ = [
    "Objective",
    "Range",
    "Scalar",
    "SearchSpace",
    "lookup",
    "override",
    "scalar_paths",
]

Scalar = bool | int | float | str | None

# A range with more values than this is searched as a continuous one and rounded: neighbours are
# then closer than any surrogate can tell apart.
_MOST_LEVELS = 10_000


@dataclass(frozen=True)
class Range:
    """The values one parameter may take.

    Attributes:
        path: Dotted path in the project's parameters, e.g. ``model.learning_rate``.
        kind: ``float``, ``int`` or ``categorical``.
        low: Smallest value, both ends included (numeric kinds).
        high: Largest value (numeric kinds).
        log: Whether the range is searched on a logarithmic scale.
        step: Distance between neighbouring values, ``None`` for a continuous float.
        choices: The values of a categorical, in the order the user wrote them.
        when: Paths of other tuned parameters and the values at which this one exists.
        default: The value in ``parameters.yml``.
    """

    path: str
    kind: str
    default: Any
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    choices: tuple[Scalar, ...] = ()
    when: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()

    @property
    def spacing(self) -> float | None:
        """Distance between neighbouring values; ``None`` for a continuous float or a category."""
        return 1 if self.step is None and self.kind == "int" else self.step

    @cached_property
    def last(self) -> float:
        """The largest value: below `high` where the steps do not reach it (numeric kinds).

        In decimals, as Optuna counts: three steps of 0.1 are 0.3. It would warn for every trial.
        """
        if self.step is None:
            return self.high
        low, high, step = (Decimal(str(value)) for value in (self.low, self.high, self.step))
        return float(low + (high - low) // step * step)

    @cached_property
    def levels(self) -> int:
        """Number of values; 0 where the range is searched as a continuous one."""
        if self.kind == "categorical":
            return len(self.choices)
        if not self.spacing:
            return 0
        count = round((self.last - self.low) / self.spacing) + 1
        return count if count <= _MOST_LEVELS else 0

    def contains(self, value: Any) -> bool:
        """Whether ``value`` is of the range's type, inside it and on its grid."""
        if self.kind == "categorical":
            return any(same_scalar(value, choice) for choice in self.choices)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        if not self.low <= value <= self.high:
            return False
        if self.kind == "int" and int(value) != value:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return math.isclose(steps, round(steps), abs_tol=1e-8)

    def nearest(self, value: Any) -> Any:
        """The value of the range closest to ``value`` (of a categorical: the first choice)."""
        if self.kind == "categorical":
            return next((c for c in self.choices if same_scalar(value, c)), self.choices[0])
        if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            value = self.low
        clipped = min(max(value, self.low), self.last)
        if self.step is not None:
            clipped = self.low + self.step * round((clipped - self.low) / self.step)
        return int(clipped) if self.kind == "int" else float(clipped)

    def describe(self) -> str:
        """The range as a user would read it, e.g. ``0.0001 … 0.1 (log)``."""
        if self.kind == "categorical":
            return ", ".join("null" if c is None else str(c) for c in self.choices)
        notes = ["log"] if self.log else []
        if self.step is not None and not (self.kind == "int" and self.step == 1):
            notes.append(f"step {self.step:g}")
        return f"{self.low:g} … {self.high:g}" + (f" ({', '.join(notes)})" if notes else "")


@dataclass(frozen=True)
class Objective:
    """Where a trial's value is read.

    Attributes:
        dataset: The dataset, produced by a node of the pipeline, that holds the value.
        key: Dotted key inside it, empty when the dataset is the number itself.
        direction: ``maximize`` or ``minimize``.
        role: What it is in the ``eeipu`` block: ``objective`` or ``report``.
    """

    dataset: str
    key: str
    direction: str
    role: str = "objective"

    def __str__(self) -> str:
        return f"{self.dataset}[{self.key}]" if self.key else self.dataset

    def read(self, value: Any) -> float:
        """The number inside the dataset's value.

        Raises:
            ConfigurationError: The key is missing, or what it leads to is not a number.
            ValueError: It is NaN or infinite.
        """
        for part in filter(None, self.key.split(".")):
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                known = map(str, value) if isinstance(value, Mapping) else [type(value).__name__]
                raise ConfigurationError(
                    f"dataset '{self.dataset}' has no key '{part}'",
                    where=f"parameters.yml: eeipu.{self.role}",
                    remedy=f"There is: {', '.join(known)}.",
                ) from None
        item = getattr(value, "item", None)
        if callable(item) and getattr(value, "size", None) == 1:
            value = item()
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigurationError(
                f"{self} is not a number but {type(value).__name__}",
                where=f"parameters.yml: eeipu.{self.role}",
                remedy="Name a key that holds a number, with dots for nested ones.",
            )
        if not math.isfinite(value):
            raise ValueError(f"the {self.role} {self} is {value}")
        return float(value)


@dataclass(frozen=True)
class SearchSpace:
    """The ranges, the objective and the limits of a search: the ``eeipu`` block, checked.

    Attributes:
        ranges: One per tuned parameter; a range stands after those its ``when`` refers to.
        objective: What is optimised.
        budget: Seconds of node time, ``None`` for no limit.
        trials: Number of trials, ``None`` for no limit.
        reports: Values on the way that may end a trial early.
        warnings: What is odd but no reason to stop.
    """

    ranges: tuple[Range, ...]
    objective: Objective
    budget: float | None = None
    trials: int | None = None
    reports: tuple[Objective, ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def __iter__(self) -> Iterator[Range]:
        return iter(self.ranges)

    def __len__(self) -> int:
        return len(self.ranges)

    @property
    def paths(self) -> tuple[str, ...]:
        """Dotted paths of the tuned parameters."""
        return tuple(r.path for r in self.ranges)

    def active(self, values: Mapping[str, Any]) -> tuple[Range, ...]:
        """The ranges whose conditions hold under ``values``, those of inactive parents left out."""
        found: dict[str, Range] = {}
        for r in self.ranges:
            if all(
                path in found and any(same_scalar(values.get(path), v) for v in allowed)
                for path, allowed in r.when
            ):
                found[r.path] = r
        return tuple(found.values())

    def defaults(self) -> dict[str, Any]:
        """The project's own values, moved into their ranges where they lie outside."""
        values = {r.path: r.nearest(r.default) for r in self.ranges}
        return {r.path: values[r.path] for r in self.active(values)}


def same_scalar(a: Any, b: Any) -> bool:
    """Equality that keeps ``1``, ``1.0``, ``True`` and ``"1"`` apart, as YAML does."""
    return type(a) is type(b) and (a == b or (a != a and b != b))


def lookup(parameters: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path.

    Raises:
        KeyError: There is none.
    """
    value: Any = parameters
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise KeyError(path)
        value = value[part]
    return value


def override(parameters: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Whole top-level subtrees of ``parameters`` with ``values`` set at their dotted paths.

    Kedro replaces, rather than merges, a nested runtime parameter when the run environment has a
    parameters file of its own, so siblings must travel along.
    """
    subtrees: dict[str, Any] = {}
    for path, value in values.items():
        top, *rest = path.split(".")
        if not rest:
            subtrees[top] = value
            continue
        level = subtrees.setdefault(top, deepcopy(parameters.get(top, {})))
        for part in rest[:-1]:
            level = level.setdefault(part, {})
        level[rest[-1]] = value
    return subtrees


def scalar_paths(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    """Dotted paths and values of all scalar parameters outside the ``eeipu`` blocks."""
    for key, value in parameters.items():
        path = f"{prefix}{key}"
        if path == "eeipu" or path.startswith("eeipu_"):
            continue
        if isinstance(value, Mapping):
            yield from scalar_paths(value, f"{path}.")
        elif value is None or isinstance(value, (bool, int, float, str)):
            yield path, value
