"""The search space: ranges over the values of a project's own parameters.

A range is keyed by the dotted path of the parameter it varies. Its type follows the value that
``parameters.yml`` gives the parameter, so the ``eeipu`` block never repeats what is said there.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from numbers import Number
from typing import Any

from kedro_eeipu.errors import ObjectiveError
from kedro_eeipu.search.paths import MissingKey, Scalar, find, holding
from kedro_eeipu.wording import scalar

__all__ = [
    "Objective",
    "Range",
    "SearchSpace",
    "as_number",
    "as_written",
    "same_value",
]

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
        choices: The values of a categorical, in the order the user wrote them: scalars, lists or
            mappings.
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
    choices: tuple[Any, ...] = ()
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

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
            return any(same_value(value, choice) for choice in self.choices)
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
            return next((c for c in self.choices if same_value(value, c)), self.choices[0])
        if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            value = self.low
        clipped = min(max(value, self.low), self.last)
        if self.step is not None:
            clipped = self.at(round((clipped - self.low) / self.step))
        return int(clipped) if self.kind == "int" else float(clipped)

    def at(self, steps: int) -> float:
        """The value so many steps above `low`, as it is written: 0.3, not 0.30000000000000004."""
        if self.kind == "int":
            return int(self.low) + steps * int(self.step or 1)
        return float(Decimal(str(self.low)) + steps * Decimal(str(self.step)))

    def describe(self) -> str:
        """The range as a user would read it, e.g. ``0.0001 … 0.1 (log)``."""
        if self.kind == "categorical":
            return ", ".join(map(scalar, self.choices))
        notes = ["log"] if self.log else []
        if self.step is not None and not (self.kind == "int" and self.step == 1):
            notes.append(f"step {as_written(self.step)}")
        ends = f"{as_written(self.low)} … {as_written(self.high)}"
        return ends + (f" ({', '.join(notes)})" if notes else "")


@dataclass(frozen=True)
class Objective:
    """Where a trial's value is read.

    Attributes:
        dataset: The dataset, produced by a node of the pipeline, that holds the value.
        key: What leads to the value inside it: a text with dots, or exact keys. Empty when the
            dataset is the number itself.
        direction: ``maximize`` or ``minimize``.
        role: What it is in the ``eeipu`` block: ``objective``, ``report`` or ``holdout``.
        where: The file and the block that declare it, as errors name them.
    """

    dataset: str
    key: str | tuple[Scalar, ...]
    direction: str
    role: str = "objective"
    where: str = field(default="parameters.yml: eeipu", compare=False)

    def __str__(self) -> str:
        key = self.key if isinstance(self.key, str) else ".".join(map(str, self.key))
        return f"{self.dataset}[{key}]" if key else self.dataset

    def read(self, value: Any) -> float:
        """The number inside the dataset's value.

        Raises:
            ObjectiveError: The key is missing, or what it leads to is not a number.
            ValueError: It is NaN or infinite.
        """
        if self.key:
            try:
                value = find(value, self.key)
            except MissingKey as missing:
                raise self._error(
                    f"dataset '{self.dataset}' has no key '{missing.key}'",
                    holding(missing.value),
                ) from None
        try:
            number = as_number(value)
        except TypeError:
            raise self._error(
                f"{self} is not a number but {type(value).__name__}", _remedy_of(value)
            ) from None
        if not math.isfinite(number):
            raise ValueError(f"the {self.role} {self} is {number}")
        return number

    def _error(self, problem: str, remedy: str) -> ObjectiveError:
        return ObjectiveError(problem, where=f"{self.where}.{self.role}", remedy=remedy)


def as_number(value: Any) -> float:
    """A number of any library, or the only one in an array, a tensor or a table, as a float.

    Raises:
        TypeError: It is something else.
    """
    shape = getattr(value, "shape", None)
    if shape is not None and math.prod(shape) == 1:
        if not hasattr(value, "item"):  # of a table, of TensorFlow
            value = value.to_numpy() if hasattr(value, "to_numpy") else value.numpy()
        value = value.item()
    if not isinstance(value, Number) or isinstance(value, (bool, complex)):
        raise TypeError(type(value).__name__)
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf


def _remedy_of(value: Any) -> str:
    """What to write so that a number is read from a value that is none."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            float(value)
            return "Let the node return a number instead of text."
    held = holding(value)
    if not held.startswith("There is"):
        return f"{held} Name a dataset or a key that holds a number."
    return f"Name a key that holds a number, with dots for nested ones. {held}"


@dataclass(frozen=True)
class SearchSpace:
    """The ranges, the objective and the limits of a search: the ``eeipu`` block, checked.

    Attributes:
        ranges: One per tuned parameter; a range stands after those its ``when`` refers to.
        objective: What is optimised.
        budget: Seconds of node time, ``None`` for no limit.
        trials: Number of trials, ``None`` for no limit.
        timeout: Seconds after which a trial is ended, ``None`` for no limit.
        max_failures: Number of failed trials that end the study, ``None`` for the default rule.
        reports: Intermediate values that may end a trial early.
        also: Nodes, tags and datasets that trials run in addition to what these values need.
        tolerance: How far the objective may be from a trial's that is confirmed.
        holdout: A value that the search never sees, ``None`` for none.
        warnings: What is odd but no reason to stop.
        where: The file and the block that declare it, as errors name them.
    """

    ranges: tuple[Range, ...]
    objective: Objective
    budget: float | None = None
    trials: int | None = None
    timeout: float | None = None
    max_failures: int | None = None
    reports: tuple[Objective, ...] = ()
    also: tuple[str, ...] = ()
    tolerance: float = 0.0
    holdout: Objective | None = None
    warnings: tuple[str, ...] = field(default=(), compare=False)
    where: str = field(default="parameters.yml: eeipu", compare=False)

    def __iter__(self) -> Iterator[Range]:
        return iter(self.ranges)

    def __len__(self) -> int:
        return len(self.ranges)

    @property
    def values(self) -> tuple[Objective, ...]:
        """All values that are read from datasets."""
        held_out = () if self.holdout is None else (self.holdout,)
        return (self.objective, *self.reports, *held_out)

    @property
    def paths(self) -> tuple[str, ...]:
        """Dotted paths of the tuned parameters."""
        return tuple(r.path for r in self.ranges)

    def active(self, values: Mapping[str, Any]) -> tuple[Range, ...]:
        """The ranges whose conditions hold under ``values``, those of inactive parents left out."""
        active: dict[str, Range] = {}
        for r in self.ranges:
            if all(
                path in active and any(same_value(values.get(path), v) for v in allowed)
                for path, allowed in r.when
            ):
                active[r.path] = r
        return tuple(active.values())

    def fits(self, values: Mapping[str, Any]) -> bool:
        """Whether these are values of all active parameters, each within its range."""
        active = {r.path: r for r in self.active(values)}
        return active.keys() == values.keys() and all(
            active[path].contains(value) for path, value in values.items()
        )

    def defaults(self) -> dict[str, Any]:
        """The project's own values, moved into their ranges if they are outside."""
        values = {r.path: r.nearest(r.default) for r in self.ranges}
        return {r.path: values[r.path] for r in self.active(values)}


def same_value(a: Any, b: Any) -> bool:
    """Equality that keeps ``1``, ``1.0``, ``True`` and ``"1"`` apart, as YAML does."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same_value(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same_value, a, b))
    return bool(a == b or (a != a and b != b))


def as_written(number: float) -> str:
    """A number of a range as people write it: ``0.3``, ``1234567``, ``1e-05``."""
    return f"{number:.12g}"
