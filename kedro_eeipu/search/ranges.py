"""Reading the ranges of an ``eeipu`` block, its ``space``, and saying what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kedro_eeipu.errors import ConfigurationError, refuse_unknown_keys
from kedro_eeipu.search.numbers import is_finite, text_number_remedy
from kedro_eeipu.search.paths import Scalar, key_chains, lookup, scalar_paths
from kedro_eeipu.search.space import Range
from kedro_eeipu.wording import did_you_mean, scalar

__all__ = ["in_order_of_conditions", "parse_ranges"]

# Beyond it floats, which a study stores, leave integers out.
_LARGEST = 2**53
_MOST_NAMES = 20  # that an error lists
_KEYS = {"low", "high", "log", "step", "choices", "when"}


def parse_ranges(
    block: Mapping[Any, Any], parameters: Mapping[str, Any], where: str, warnings: list[str]
) -> dict[str, Range]:
    """The ranges of a ``space``, by the path of the parameter.

    Args:
        block: The ``space``.
        parameters: The merged parameters, which hold the defaults.
        where: The block to name in errors.
        warnings: What is odd, but no error, is added here.

    Raises:
        ConfigurationError: Something in them is wrong.
    """
    ranges = {}
    for path, spec in block.items():
        at = f"{where}.space.{path}"
        ranges[str(path)] = _parse_range(str(path), spec, parameters, at, warnings)
    _refuse_overlaps(ranges, where)
    return ranges


def _refuse_overlaps(ranges: Mapping[str, Range], where: str) -> None:
    """Refuse a range inside a parameter that has choices itself.

    Raises:
        ConfigurationError: There is one.
    """
    for outer in ranges:
        for inner in ranges:
            if inner.startswith(f"{outer}."):
                raise ConfigurationError(
                    f"'{inner}' lies inside '{outer}', which is tuned as a whole",
                    where=f"{where}.space.{inner}",
                    remedy="Leave one of them out.",
                )


def in_order_of_conditions(ranges: dict[str, Range], where: str) -> tuple[Range, ...]:
    """Ranges with each one after those its ``when`` refers to.

    Raises:
        ConfigurationError: A condition can never hold, or conditions form a circle.
    """
    ordered: dict[str, Range] = {}

    def place(r: Range, chain: tuple[str, ...]) -> None:
        key = f"{where}.space.{r.path}.when"
        if r.path in chain:
            raise ConfigurationError(f"conditions form a circle: {' -> '.join(chain)}", where=key)
        for path, allowed in r.when:
            parent = ranges.get(path)
            if parent is None:
                raise ConfigurationError(
                    f"'{path}' is not itself tuned", where=key, remedy=f"Add a range for '{path}'."
                )
            for value in allowed:
                if not parent.contains(value):
                    raise ConfigurationError(
                        f"'{path}' is never {scalar(value)} (it is one of {parent.describe()})",
                        where=key,
                    )
            if path not in ordered:
                place(parent, (*chain, r.path))
        ordered.setdefault(r.path, r)

    for r in ranges.values():
        place(r, ())
    return tuple(ordered.values())


def _parse_range(
    path: str, spec: Any, parameters: Mapping[str, Any], where: str, warnings: list[str]
) -> Range:
    default = _default(path, parameters, where)
    if isinstance(spec, (list, tuple)):
        spec = {"choices": spec}
    if not isinstance(spec, Mapping):
        raise ConfigurationError("a range is a list of choices or {low: …, high: …}", where=where)
    nested = next((key for key in spec if isinstance(default, Mapping) and key in default), None)
    if nested is not None:
        raise ConfigurationError(
            f"'{path}' holds several parameters", where=where, remedy=f"Write {path}.{nested}: …"
        )
    refuse_unknown_keys(spec, _KEYS, where)
    if isinstance(default, (Mapping, list)) and "choices" not in spec:
        raise ConfigurationError(
            f"'{path}' is not a single value",
            where=where,
            remedy=f"Tune the values inside it, by their dotted paths: {path}.{next(iter(default))}"
            if isinstance(default, Mapping) and default
            else f"List the values to try, each a list: {path}: [{scalar(default)}, […]]",
        )
    when = _parse_when(spec.get("when"), where)
    if "choices" in spec:
        parsed = _categorical(path, spec, default, when, where)
    else:
        parsed = _numeric(path, spec, default, when, where)
    if not parsed.contains(default):
        warnings.append(
            f"{where}: the default {scalar(default)} lies outside {parsed.describe()}; "
            f"the first trial uses {scalar(parsed.nearest(default))}"
        )
    if (
        parsed.kind == "float"
        and isinstance(default, int)
        and parsed.low % 1 == parsed.high % 1 == 0
    ):
        warnings.append(f"{where}: {_floats_in(spec, default, parsed)}")
    return parsed


def _floats_in(spec: Mapping[Any, Any], default: int, parsed: Range) -> str:
    """What to say of ends or a step that make a range of floats around an integer."""
    floats = {key: spec[key] for key in ("low", "high", "step") if isinstance(spec.get(key), float)}
    named = " and ".join(f"`{key}: {value}`" for key, value in floats.items())
    said = (
        f"the default {default} is an integer, but {named} {'is' if len(floats) == 1 else 'are'} "
        f"not, so trials get numbers such as {parsed.low + (parsed.step or 0.5)}"
    )
    if not all(value.is_integer() for value in floats.values()):
        return f"{said}; write a whole number as the step to try integers only"
    if max(map(abs, floats.values())) > _LARGEST:  # they could not be told apart
        return said
    whole = ", ".join(f"{key}: {int(value)}" for key, value in floats.items())
    return f"{said}; write {whole} to try integers only"


def _default(path: str, parameters: Mapping[str, Any], where: str) -> Any:
    chains = key_chains(parameters, path)
    if len(chains) > 1:
        ways = " and ".join(" > ".join(map(repr, chain)) for chain in chains)
        raise ConfigurationError(
            f"two parameters have the path '{path}': {ways}",
            where=where,
            remedy="Rename one of them in the parameters: Kedro, too, gives both the same name.",
        )
    if chains:
        return lookup(parameters, path)
    raise ConfigurationError(
        f"there is no parameter '{path}'", where=where, remedy=_other_parameter(path, parameters)
    )


def _other_parameter(path: str, parameters: Mapping[str, Any]) -> str:
    """What to tune in place of a parameter that is not there."""
    parts = path.split(".")
    for count in range(len(parts) - 1, 0, -1):
        above = ".".join(parts[:count])
        if key_chains(parameters, above) and isinstance(lookup(parameters, above), list):
            return f"'{above}' is a list, which is tuned as a whole: {above}: [[…], […]]"
    paths = [p for p, _ in scalar_paths(parameters)]
    shown = ", ".join(paths[:_MOST_NAMES]) + (", …" if len(paths) > _MOST_NAMES else "")
    return did_you_mean(path, paths) or (f"There is: {shown}." if paths else "")


def _parse_when(spec: Any, where: str) -> tuple[tuple[str, tuple[Scalar, ...]], ...]:
    if spec is None:
        return ()
    if not isinstance(spec, Mapping) or len(spec) != 1:
        raise ConfigurationError(
            "`when` maps one other tuned parameter to the value or values at which this one exists",
            where=where,
            remedy="Write for example: when: {model.kind: rf}",
        )
    if [] in spec.values():
        raise ConfigurationError(
            "`when` lists no value, so no trial would ever have this parameter",
            where=where,
            remedy="Write for example: when: {model.kind: [rf, gbm]}",
        )
    return tuple(
        (str(path), tuple(v) if isinstance(v, (list, tuple)) else (v,)) for path, v in spec.items()
    )


def _categorical(
    path: str, spec: Mapping[Any, Any], default: Any, when: tuple[Any, ...], where: str
) -> Range:
    choices = spec["choices"]
    for key in ("low", "high", "log", "step"):
        if key in spec:
            raise ConfigurationError(f"`choices` and `{key}` exclude each other", where=where)
    if not isinstance(choices, (list, tuple)) or not choices:
        raise ConfigurationError("`choices` must be a list with at least one value", where=where)
    choices = [_choice(choice, where) for choice in choices]
    for i, choice in enumerate(choices):
        _check_choice(choice, default, where)
        if choice in choices[:i]:
            same = next(c for c in choices[:i] if c == choice)
            raise ConfigurationError(
                f"the choice {choice!r} is listed twice"
                if type(same) is type(choice)
                else f"a study cannot tell the choices {same!r} and {choice!r} apart",
                where=where,
            )
    return Range(path, "categorical", default, choices=tuple(choices), when=when)


def _choice(choice: Any, where: str) -> Any:
    """A choice as a study stores it: scalars, and lists and mappings of them.

    Raises:
        ConfigurationError: It cannot be stored.
    """
    if choice is None or isinstance(choice, (bool, int, float, str)):
        return choice
    if isinstance(choice, (list, tuple)):
        return [_choice(entry, where) for entry in choice]
    if isinstance(choice, Mapping) and all(isinstance(key, str) for key in choice):
        return {key: _choice(entry, where) for key, entry in choice.items()}
    raise ConfigurationError(
        f"the choice {choice!r} cannot be stored",
        where=where,
        remedy="Choices are numbers, text, booleans, null, and lists and mappings of them; the "
        "keys of a mapping are text.",
    )


def _check_choice(choice: Any, default: Any, where: str) -> None:
    """Refuse a choice that a run would not get as it is written.

    Raises:
        ConfigurationError: It is a number in quotes, or a mapping without a key of the default.
    """
    if isinstance(default, Mapping) and not (choice is None or isinstance(choice, Mapping)):
        raise ConfigurationError(
            f"the choice {scalar(choice)} takes the place of several parameters",
            where=where,
            remedy="Tune the values inside it, by their dotted paths, or list mappings.",
        )
    number = isinstance(default, (int, float)) and not isinstance(default, bool)
    remedy = text_number_remedy(choice) if number else ""
    if remedy:
        raise ConfigurationError(f"the choice {choice!r} is text", where=where, remedy=remedy)
    missing = _missing_key(choice, default)
    if missing:
        raise ConfigurationError(
            f"the choice {scalar(choice)} lacks the key '{missing}' of the default",
            where=where,
            remedy="Kedro merges a mapping with the one in the parameters, so each choice must "
            f"have all of its keys: write {missing}: null, for example.",
        )


def _missing_key(choice: Any, default: Any) -> str:
    """A key of the default that a choice lacks, at any depth; empty if there is none."""
    if not isinstance(default, Mapping) or not isinstance(choice, Mapping):
        return ""
    for key, value in default.items():
        if key not in choice:
            return str(key)
        if inner := _missing_key(choice[key], value):
            return f"{key}.{inner}"
    return ""


def _numeric(
    path: str, spec: Mapping[Any, Any], default: Any, when: tuple[Any, ...], where: str
) -> Range:
    low: Any = spec.get("low")
    high: Any = spec.get("high")
    step: Any = spec.get("step")
    log = spec.get("log", False)
    if isinstance(default, bool) or not isinstance(default, (int, float)):
        raise ConfigurationError(
            f"the default of '{path}' is {scalar(default)}, not a number",
            where=where,
            remedy=text_number_remedy(default) or _listed_remedy(path, spec, default),
        )
    for name, value in (("low", low), ("high", high)):
        if value is None:
            raise ConfigurationError(f"`{name}` is missing", where=where)
        if not is_finite(value):
            raise ConfigurationError(
                f"`{name}` is {value!r}, not a number",
                where=where,
                remedy=text_number_remedy(value),
            )
    if not isinstance(log, bool):
        raise ConfigurationError(f"`log` is {log!r}, not true or false", where=where)
    written = [v for v in (low, high, step) if v is not None]
    kind = "int" if all(isinstance(v, int) for v in (default, *written)) else "float"
    if low >= high:
        raise ConfigurationError(f"low ({low}) is not below high ({high})", where=where)
    if log and low <= 0:
        raise ConfigurationError(f"a log range needs low > 0, not {low}", where=where)
    _refuse_too_wide(kind, low, high, log, where)
    if step is not None:
        if not is_finite(step) or not 0 < step <= high - low:
            raise ConfigurationError(
                f"`step` is {step!r}, but must be above 0 and at most high - low",
                where=where,
                remedy=text_number_remedy(step),
            )
        if log:
            raise ConfigurationError("`log` and `step` exclude each other", where=where)
        if (high - low) / step > _LARGEST:
            raise ConfigurationError(
                f"`step` is {step!r}: that is too small for this range",
                where=where,
                remedy="Leave it out, and every value between the ends may be tried.",
            )
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


def _refuse_too_wide(kind: str, low: float, high: float, log: bool, where: str) -> None:
    """Refuse ends whose values could not be told apart, or stored.

    Raises:
        ConfigurationError: They are too large or too far from each other.
    """
    if kind == "int" and max(abs(low), abs(high)) > _LARGEST:
        raise ConfigurationError(
            "the range reaches beyond the integers that can be distinguished (2^53, about 9e15)",
            where=where,
            remedy="Tune the exponent instead, in a parameter of its own, or write the default and "
            "the ends as floats: 1.0e+30.",
        )
    try:
        width = math.log(float(high) / float(low)) if log else float(high) - float(low)
    except (OverflowError, ZeroDivisionError):
        width = math.inf
    if not math.isfinite(width):
        raise ConfigurationError(
            f"the range from {low} to {high} is too wide to be searched", where=where
        )


def _listed_remedy(path: str, spec: Mapping[Any, Any], default: Any) -> str:
    """How to tune a parameter whose default is no number."""
    if isinstance(default, bool):
        return f"List the values instead: {path}: [true, false]"
    if default is not None:
        return f"List the values instead: {path}: [{scalar(default)}, …]"
    ends = [spec.get(key) for key in ("low", "high")]
    numbers = [scalar(end) for end in ends if is_finite(end)]
    return (
        "Give it a number in the parameters, which plain runs then use, too; or list the values: "
        f"{path}: [{', '.join(['null', *numbers])}]"
    )
