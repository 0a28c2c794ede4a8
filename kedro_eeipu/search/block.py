"""Reading the ``eeipu`` block of ``parameters.yml``, and saying what is wrong with it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from kedro_eeipu.errors import ConfigurationError, refuse_unknown_keys
from kedro_eeipu.search.example import example_block, guess_objective
from kedro_eeipu.search.paths import Scalar, key_chains, lookup, scalar_paths
from kedro_eeipu.search.space import Objective, Range, SearchSpace
from kedro_eeipu.wording import did_you_mean, parsed_duration, scalar

__all__ = ["block_of", "is_block", "parse_budget", "parse_space", "parse_trials"]

# Beyond it floats, which a study stores, leave integers out.
_LARGEST = 2**53

_KEYS = {
    *("objective", "space", "budget", "trials", "report", "also", "max_failures", "timeout"),
    "confirm",
}
RANGE_KEYS = {"low", "high", "log", "step", "choices", "when"}


def block_of(pipeline: str, parameters: Mapping[str, Any]) -> str:
    """The key of a pipeline's search: ``eeipu_<pipeline>`` where there is one, else ``eeipu``."""
    own = f"eeipu_{pipeline}"
    return own if own in parameters else "eeipu"


def is_block(section: object) -> bool:
    """Whether a top-level section of the parameters is the search of some pipeline."""
    return section == "eeipu" or str(section).startswith("eeipu_")


def parse_space(
    parameters: Mapping[str, Any],
    where: str = "parameters.yml",
    outputs: Sequence[str] = (),
    key: str = "eeipu",
) -> SearchSpace:
    """Read and check the ``eeipu`` block of a project's parameters.

    Args:
        parameters: The merged parameters of the run environment, the ``eeipu`` block among them.
        where: The file to name in errors.
        outputs: Datasets that the pipeline produces, to name one in an example.
        key: The key of the block.

    Raises:
        ConfigurationError: There is no block (the remedy is one to paste), or something in it is
            wrong.
    """
    block = parameters.get(key)
    if block is None:
        raise ConfigurationError(
            f"there is no `{key}` block, so nothing to tune",
            where=where,
            remedy="Add one, for example (correct the objective and the ranges):\n\n"
            + example_block(parameters, guess_objective(outputs), key=key),
        )
    if not isinstance(block, Mapping):
        raise ConfigurationError(f"`{key}` must be a mapping", where=where)
    where_block = f"{where}: {key}"
    refuse_unknown_keys(block, _KEYS, where_block)
    ranges_block = block.get("space")
    if not isinstance(ranges_block, Mapping) or not ranges_block:
        raise ConfigurationError(
            "`space` must map parameter paths to ranges",
            where=f"{where_block}.space",
            remedy="For example:\n\n"
            + example_block(parameters, guess_objective(outputs), key=key),
        )
    warnings: list[str] = []
    ranges = {}
    for path, spec in ranges_block.items():
        at = f"{where_block}.space.{path}"
        ranges[str(path)] = _parse_range(str(path), spec, parameters, at, warnings)
    _refuse_overlaps(ranges, where_block)
    objective = _parse_objective(block.get("objective"), where_block)
    return SearchSpace(
        ranges=_in_order_of_conditions(ranges, where_block),
        objective=objective,
        reports=_parse_reports(block.get("report"), objective.direction, where_block),
        also=_parse_also(block.get("also"), f"{where_block}.also"),
        tolerance=_parse_tolerance(block.get("confirm"), f"{where_block}.confirm"),
        budget=parse_budget(block.get("budget"), f"{where_block}.budget"),
        trials=parse_trials(block.get("trials"), f"{where_block}.trials"),
        max_failures=parse_trials(block.get("max_failures"), f"{where_block}.max_failures"),
        timeout=parse_budget(block.get("timeout"), f"{where_block}.timeout"),
        warnings=tuple(warnings),
        where=where_block,
    )


def parse_budget(budget: Any, where: str = "--budget") -> float | None:
    """Seconds of a budget such as ``90``, ``"90s"``, ``"30min"``, ``"1.5h"``.

    Raises:
        ConfigurationError: The text is no duration, or it is not positive.
    """
    if budget is None:
        return None
    seconds = parsed_duration(budget)
    if math.isnan(seconds):
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


def _parse_objective(spec: Any, where: str) -> Objective:
    key = f"{where}.objective"
    remedy = "Write for example: objective: {dataset: metrics, key: accuracy, direction: maximize}"
    if not isinstance(spec, Mapping) or not isinstance(spec.get("dataset"), str):
        raise ConfigurationError("the objective names no dataset", where=key, remedy=remedy)
    refuse_unknown_keys(spec, {"dataset", "key", "direction"}, key)
    direction = spec.get("direction")
    if direction not in ("maximize", "minimize"):
        raise ConfigurationError(
            f"direction is '{direction}', not maximize or minimize", where=key, remedy=remedy
        )
    inside = _parse_key(spec.get("key"), f"{key}.key")
    return Objective(spec["dataset"], inside, direction, where=where)


def _parse_key(spec: Any, where: str) -> str | tuple[Scalar, ...]:
    """What leads to a value inside a dataset: a text with dots, or a list of keys."""
    if spec is None or isinstance(spec, str):
        return spec or ""
    keys = tuple(spec) if isinstance(spec, (list, tuple)) else (spec,)
    if not all(isinstance(part, (bool, int, float, str)) for part in keys):
        raise ConfigurationError(
            f"`key` is {spec!r}",
            where=where,
            remedy="Write a text with dots between nested keys, or a list of keys: [auc, 1].",
        )
    return keys


def _parse_reports(specs: Any, direction: str, where_block: str) -> tuple[Objective, ...]:
    """Values on the way: ``dataset``, ``dataset:key`` or as the objective.

    Better is the way of the objective.
    """
    where = f"{where_block}.report"
    if specs is None:
        return ()
    if not isinstance(specs, (list, tuple)) or not all(
        (isinstance(s, str) and s) or (isinstance(s, Mapping) and isinstance(s.get("dataset"), str))
        for s in specs
    ):
        raise ConfigurationError(
            "`report` is a list of datasets and keys",
            where=where,
            remedy="Write for example: report: [teacher_metrics:error]",
        )
    reports = []
    for spec in specs:
        key: str | tuple[Scalar, ...]
        if isinstance(spec, str):
            dataset, _, key = spec.partition(":")
        else:
            refuse_unknown_keys(spec, {"dataset", "key"}, where)
            dataset, key = spec["dataset"], _parse_key(spec.get("key"), where)
        reports.append(Objective(dataset, key, direction, "report", where_block))
    return tuple(reports)


def _parse_also(names: Any, where: str) -> tuple[str, ...]:
    """What trials run besides what the objective and the reports need."""
    names = [names] if isinstance(names, str) else names or []
    if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) and n for n in names):
        raise ConfigurationError(
            "`also` is a list of nodes, tags and datasets",
            where=where,
            remedy="Write for example: also: [validate]",
        )
    return tuple(names)


def _parse_tolerance(spec: Any, where: str) -> float:
    """How far a confirmed objective may be from that of its trial."""
    spec = {} if spec is None else spec
    remedy = "Write for example: confirm: {tolerance: 1.0e-6}"
    if not isinstance(spec, Mapping):
        raise ConfigurationError("`confirm` is not a mapping", where=where, remedy=remedy)
    refuse_unknown_keys(spec, {"tolerance"}, where)
    tolerance = spec.get("tolerance", 0.0)
    if not _finite(tolerance) or tolerance < 0:
        raise ConfigurationError(
            f"`tolerance` is {tolerance!r}, not a number from 0 on",
            where=f"{where}.tolerance",
            remedy=_text_number_remedy(tolerance) or remedy,
        )
    return float(tolerance)


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
    refuse_unknown_keys(spec, RANGE_KEYS, where)
    if isinstance(default, (Mapping, list)) and "choices" not in spec:
        raise ConfigurationError(
            f"'{path}' is no single value",
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
        warnings.append(
            f"{where}: the default {default} is an integer, but {spec.get('low')} or "
            f"{spec.get('high')} is not, so trials get numbers such as {parsed.low + 0.5}; write "
            f"{int(parsed.low)} and {int(parsed.high)} to try integers only"
        )
    return parsed


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
    paths = [p for p, _ in scalar_paths(parameters)]
    raise ConfigurationError(
        f"there is no parameter '{path}'",
        where=where,
        remedy=did_you_mean(path, paths, cutoff=0.0),
    )


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
    choices = [_choice(choice, where) for choice in choices]
    for i, choice in enumerate(choices):
        _check_choice(choice, default, where)
        if choice in choices[:i]:
            same = next(c for c in choices[:i] if c == choice)
            raise ConfigurationError(
                f"the choice {choice!r} is listed twice"
                if type(same) is type(choice)
                else f"the choices {same!r} and {choice!r} are equal to a study",
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
    remedy = _text_number_remedy(choice) if number else ""
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


def _numeric(path: str, spec: Mapping, default: Any, when: tuple, where: str) -> Range:
    low: Any = spec.get("low")
    high: Any = spec.get("high")
    step: Any = spec.get("step")
    log = spec.get("log", False)
    if isinstance(default, bool) or not isinstance(default, (int, float)):
        raise ConfigurationError(
            f"the default of '{path}' is {scalar(default)}, not a number",
            where=where,
            remedy=_text_number_remedy(default) or _listed_remedy(path, spec, default),
        )
    for name, value in (("low", low), ("high", high)):
        if value is None:
            raise ConfigurationError(f"`{name}` is missing", where=where)
        if not _finite(value):
            raise ConfigurationError(
                f"`{name}` is {value!r}, not a number",
                where=where,
                remedy=_text_number_remedy(value),
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
        if not _finite(step) or not 0 < step <= high - low:
            raise ConfigurationError(
                f"`step` is {step!r}, not a part of the range",
                where=where,
                remedy=_text_number_remedy(step),
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


def _finite(value: Any) -> bool:
    """Whether a value is a number, and not NaN or infinite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, int) or math.isfinite(value)


def _refuse_too_wide(kind: str, low: float, high: float, log: bool, where: str) -> None:
    """Refuse ends whose values could not be told apart, or stored.

    Raises:
        ConfigurationError: They are too large or too far from each other.
    """
    if kind == "int" and max(abs(low), abs(high)) > _LARGEST:
        raise ConfigurationError(
            "the range reaches beyond the integers that can be told apart (2^53, about 9e15)",
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


def _listed_remedy(path: str, spec: Mapping, default: Any) -> str:
    """How to tune a parameter whose default is no number."""
    if isinstance(default, bool):
        return f"List the values instead: {path}: [true, false]"
    if default is not None:
        return f"List the values instead: {path}: [{scalar(default)}, …]"
    ends = [spec.get(key) for key in ("low", "high")]
    numbers = [scalar(end) for end in ends if _finite(end)]
    return (
        "Give it a number in the parameters, which plain runs then use, too; or list the values: "
        f"{path}: [{', '.join(['null', *numbers])}]"
    )


def _text_number_remedy(value: Any) -> str:
    for read in (int, float):
        with contextlib.suppress(ValueError, TypeError):
            if isinstance(value, str):
                return f"YAML reads {value} as text: write {read(value)!r}."
    return ""


def _in_order_of_conditions(ranges: dict[str, Range], where: str) -> tuple[Range, ...]:
    """Ranges with each one after those its ``when`` refers to."""
    ordered: dict[str, Range] = {}

    def place(r: Range, chain: tuple[str, ...]) -> None:
        key = f"{where}.space.{r.path}.when"
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
                        f"'{path}' never is {scalar(value)} (it is one of {parent.describe()})",
                        where=key,
                    )
            if path not in ordered:
                place(parent, (*chain, r.path))
        ordered.setdefault(r.path, r)

    for r in ranges.values():
        place(r, ())
    return tuple(ordered.values())
