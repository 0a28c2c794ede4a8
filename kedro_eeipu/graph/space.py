"""The search space: ranges over the values of a project's own parameters.

A range is keyed by the dotted path of the parameter it varies. Its type follows the value that
``parameters.yml`` gives the parameter, so the ``eeipu`` block never repeats what is said there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from kedro_eeipu.errors import ConfigurationError

Scalar = bool | int | float | str | None
RANGE_KEYS = {"low", "high", "log", "step", "choices", "when"}
_MISSING = object()


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
        clipped = min(max(value, self.low), self.high)
        if self.step is not None:
            count = math.floor((self.high - self.low) / self.step + 1e-8)
            clipped = self.low + self.step * min(round((clipped - self.low) / self.step), count)
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
    """

    dataset: str
    key: str
    direction: str

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
                    where="parameters.yml: eeipu.objective.key",
                    remedy=f"There is: {', '.join(known)}.",
                ) from None
        item = getattr(value, "item", None)
        if callable(item) and getattr(value, "size", None) == 1:
            value = item()
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigurationError(
                f"{self} is not a number but {type(value).__name__}",
                where="parameters.yml: eeipu.objective",
                remedy="Name a key that holds a number, with dots for nested ones.",
            )
        if not math.isfinite(value):
            raise ValueError(f"the objective {self} is {value}")
        return float(value)


@dataclass(frozen=True)
class SearchSpace:
    """The ranges, the objective and the limits of a search: the ``eeipu`` block, checked.

    Attributes:
        ranges: One per tuned parameter; a range stands after those its ``when`` refers to.
        objective: What is optimised.
        budget: Seconds of node time, ``None`` for no limit.
        trials: Number of trials, ``None`` for no limit.
        warnings: What is odd but no reason to stop.
    """

    ranges: tuple[Range, ...]
    objective: Objective
    budget: float | None = None
    trials: int | None = None
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


def parse_space(parameters: Mapping[str, Any], where: str = "parameters.yml") -> SearchSpace:
    """Read and check the ``eeipu`` block of a project's parameters.

    Args:
        parameters: The merged parameters of the run environment, the ``eeipu`` block among them.
        where: The file to name in errors.

    Raises:
        ConfigurationError: There is no block (the remedy is one to paste), or something in it is
            wrong.
    """
    block = parameters.get("eeipu")
    if block is None:
        raise ConfigurationError(
            "there is no `eeipu` block, so nothing to tune",
            where=where,
            remedy="Add one, for example (mend the objective and the ranges):\n\n"
            + example_block(parameters),
        )
    if not isinstance(block, Mapping):
        raise ConfigurationError("`eeipu` must be a mapping", where=where)
    _refuse_unknown(block, {"objective", "space", "budget", "trials"}, f"{where}: eeipu")
    ranges_block = block.get("space")
    if not isinstance(ranges_block, Mapping) or not ranges_block:
        raise ConfigurationError(
            "`space` must map parameter paths to ranges",
            where=f"{where}: eeipu.space",
            remedy="For example:\n\n" + example_block(parameters),
        )
    warnings: list[str] = []
    ranges = {}
    for path, spec in ranges_block.items():
        key = f"{where}: eeipu.space.{path}"
        ranges[str(path)] = _parse_range(str(path), spec, parameters, key, warnings)
    return SearchSpace(
        ranges=_in_order_of_conditions(ranges, where),
        objective=_parse_objective(block.get("objective"), where),
        budget=parse_budget(block.get("budget"), f"{where}: eeipu.budget"),
        trials=parse_trials(block.get("trials"), f"{where}: eeipu.trials"),
        warnings=tuple(warnings),
    )


def parse_budget(budget: Any, where: str = "--budget") -> float | None:
    """Seconds of a budget such as ``90``, ``"90s"``, ``"30min"``, ``"1.5h"``.

    Raises:
        ConfigurationError: The text is no duration, or it is not positive.
    """
    if budget is None:
        return None
    text = str(budget).strip().lower()
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = text[len(number) :].strip()
    factors = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
    try:
        seconds = float(number) * factors[unit]
    except (ValueError, KeyError):
        seconds = math.nan
    if isinstance(budget, bool) or not 0 < seconds < math.inf:
        raise ConfigurationError(
            f"'{budget}' is no duration", where=where, remedy="Write seconds, or 30min, 2h, 1d."
        )
    return seconds


def parse_trials(trials: Any, where: str = "--trials") -> int | None:
    """A number of trials.

    Raises:
        ConfigurationError: It is not a positive integer.
    """
    if trials is not None and (
        isinstance(trials, bool) or not isinstance(trials, int) or trials < 1
    ):
        raise ConfigurationError(f"'{trials}' is no number of trials", where=where)
    return trials


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
    """Dotted paths and values of all scalar parameters outside the ``eeipu`` block."""
    for key, value in parameters.items():
        path = f"{prefix}{key}"
        if path == "eeipu":
            continue
        if isinstance(value, Mapping):
            yield from scalar_paths(value, f"{path}.")
        elif value is None or isinstance(value, (bool, int, float, str)):
            yield path, value


def example_block(parameters: Mapping[str, Any], limit: int = 6) -> str:
    """An ``eeipu`` block to paste, its ranges made from the project's own numbers and booleans."""
    lines = []
    for path, value in scalar_paths(parameters):
        if isinstance(value, bool):
            lines.append(f"    {path}: [true, false]")
        elif isinstance(value, int) and value > 0:
            lines.append(f"    {path}: {{low: {max(1, value // 2)}, high: {value * 2}}}")
        elif isinstance(value, float) and value > 0:
            lines.append(f"    {path}: {{low: {value / 10:.3}, high: {value * 10:.3}, log: true}}")
        if len(lines) == limit:
            break
    lines = lines or ["    model.learning_rate: {low: 1.0e-4, high: 1.0e-1, log: true}"]
    return "\n".join(
        [
            "eeipu:",
            "  objective: {dataset: metrics, key: accuracy, direction: maximize}",
            "  space:",
            *lines,
            "  budget: 30min",
        ]
    )


def _parse_objective(spec: Any, where: str) -> Objective:
    key = f"{where}: eeipu.objective"
    remedy = "Write for example: objective: {dataset: metrics, key: accuracy, direction: maximize}"
    if not isinstance(spec, Mapping) or not isinstance(spec.get("dataset"), str):
        raise ConfigurationError("the objective names no dataset", where=key, remedy=remedy)
    _refuse_unknown(spec, {"dataset", "key", "direction"}, key)
    direction = spec.get("direction")
    if direction not in ("maximize", "minimize"):
        raise ConfigurationError(
            f"direction is '{direction}', not maximize or minimize", where=key, remedy=remedy
        )
    return Objective(spec["dataset"], str(spec.get("key") or ""), direction)


def _parse_range(
    path: str, spec: Any, parameters: Mapping[str, Any], where: str, warnings: list[str]
) -> Range:
    default = _default(path, parameters, where)
    if isinstance(spec, (list, tuple)):
        spec = {"choices": spec}
    if not isinstance(spec, Mapping):
        raise ConfigurationError("a range is a list of choices or {low: …, high: …}", where=where)
    _refuse_unknown(spec, RANGE_KEYS, where)
    when = _parse_when(spec.get("when"), where)
    if "choices" in spec:
        found = _categorical(path, spec, default, when, where)
    else:
        found = _numeric(path, spec, default, when, where)
    if not found.contains(default):
        warnings.append(
            f"{where}: the default {default!r} lies outside {found.describe()}; "
            f"the first trial uses {found.nearest(default)!r}"
        )
    return found


def _default(path: str, parameters: Mapping[str, Any], where: str) -> Any:
    try:
        return lookup(parameters, path)
    except KeyError:
        known = [p for p, _ in scalar_paths(parameters)]
        close = get_close_matches(path, known, n=1, cutoff=0.0)
        raise ConfigurationError(
            f"there is no parameter '{path}'",
            where=where,
            remedy=f"Did you mean '{close[0]}'?" if close else "",
        ) from None


def _parse_when(spec: Any, where: str) -> tuple[tuple[str, tuple[Scalar, ...]], ...]:
    if spec is None:
        return ()
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise ConfigurationError(
            "`when` maps one other tuned parameter to the value or values at which this one exists",
            where=where,
            remedy="Write for example: when: {model.kind: rf}",
        )
    return tuple(
        (str(path), tuple(v) if isinstance(v, (list, tuple)) else (v,)) for path, v in spec.items()
    )


def _categorical(path: str, spec: Mapping, default: Any, when: tuple, where: str) -> Range:
    choices = spec["choices"]
    for key in ("low", "high", "log", "step"):
        if key in spec:
            raise ConfigurationError(f"`choices` and `{key}` exclude each other", where=where)
    if not isinstance(choices, (list, tuple)) or not choices:
        raise ConfigurationError("`choices` must be a list with at least one value", where=where)
    for i, choice in enumerate(choices):
        if not (choice is None or isinstance(choice, (bool, int, float, str))):
            raise ConfigurationError(f"the choice {choice!r} is not a scalar", where=where)
        if choice in choices[:i]:
            raise ConfigurationError(f"the choice {choice!r} stands there twice", where=where)
    return Range(path, "categorical", default, choices=tuple(choices), when=when)


def _numeric(path: str, spec: Mapping, default: Any, when: tuple, where: str) -> Range:
    low: Any = spec.get("low")
    high: Any = spec.get("high")
    step: Any = spec.get("step")
    log = spec.get("log", False)
    if isinstance(default, bool) or not isinstance(default, (int, float)):
        raise ConfigurationError(
            f"the default of '{path}' is {default!r}, not a number",
            where=where,
            remedy=_text_number_remedy(default)
            or f"List the values instead: {path}: [{default}, …]",
        )
    for name, value in (("low", low), ("high", high)):
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not math.isfinite(value)
        ):
            raise ConfigurationError(
                f"`{name}` is {value!r}, not a number",
                where=where,
                remedy=_text_number_remedy(value),
            )
    if not isinstance(log, bool):
        raise ConfigurationError(f"`log` is {log!r}, not true or false", where=where)
    kind = "int" if isinstance(default, int) else "float"
    if kind == "int" and any(isinstance(v, float) for v in (low, high, step)):
        raise ConfigurationError(
            f"the default {default} is an integer, but the range is not",
            where=where,
            remedy=f"Write the default as {float(default)} in the parameters, or integers here.",
        )
    if low >= high:
        raise ConfigurationError(f"low ({low}) is not below high ({high})", where=where)
    if log and low <= 0:
        raise ConfigurationError(f"a log range needs low > 0, not {low}", where=where)
    if step is not None:
        if (
            isinstance(step, bool)
            or not isinstance(step, (int, float))
            or not 0 < step <= high - low
        ):
            raise ConfigurationError(f"`step` is {step!r}, not a part of the range", where=where)
        if log:
            raise ConfigurationError("`log` and `step` exclude each other", where=where)
    if kind == "int" and step is None:
        step = 1
    cast = int if kind == "int" else float
    return Range(
        path,
        kind,
        default,
        low=cast(low),
        high=cast(high),
        log=log,
        step=None if step is None else cast(step),
        when=when,
    )


def _text_number_remedy(value: Any) -> str:
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        number = None
    return "" if number is None else f"YAML reads {value} as text: write {number!r}."


def _refuse_unknown(spec: Mapping, known: set[str], where: str) -> None:
    for key in spec:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            raise ConfigurationError(
                f"unknown key '{key}'",
                where=where,
                remedy=f"Did you mean '{close[0]}'?"
                if close
                else f"Known: {', '.join(sorted(known))}.",
            )


def _in_order_of_conditions(ranges: dict[str, Range], where: str) -> tuple[Range, ...]:
    """Ranges with each one after those its ``when`` refers to."""
    ordered: dict[str, Range] = {}

    def place(r: Range, chain: tuple[str, ...]) -> None:
        key = f"{where}: eeipu.space.{r.path}.when"
        if r.path in chain:
            raise ConfigurationError(f"conditions go in a circle: {' -> '.join(chain)}", where=key)
        for path, allowed in r.when:
            parent = ranges.get(path)
            if parent is None:
                raise ConfigurationError(
                    f"'{path}' is not itself tuned", where=key, remedy=f"Add a range for '{path}'."
                )
            for value in allowed:
                if not parent.contains(value):
                    raise ConfigurationError(
                        f"'{path}' never is {value!r} (it is one of {parent.describe()})", where=key
                    )
            if path not in ordered:
                place(parent, (*chain, r.path))
        ordered.setdefault(r.path, r)

    for r in ranges.values():
        place(r, ())
    return tuple(ordered.values())
