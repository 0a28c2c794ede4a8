"""Reading the ``eeipu`` block of ``parameters.yml``, and saying what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kedro_eeipu.errors import ConfigurationError, refuse_unknown_keys
from kedro_eeipu.search.example import example_block, guess_objective
from kedro_eeipu.search.numbers import is_finite, text_number_remedy
from kedro_eeipu.search.paths import Scalar
from kedro_eeipu.search.ranges import in_order_of_conditions, parse_ranges
from kedro_eeipu.search.space import Objective, SearchSpace
from kedro_eeipu.wording import parsed_duration

__all__ = ["block_of", "is_block", "parse_budget", "parse_space", "parse_trials"]

_KEYS = {
    *("objective", "space", "budget", "trials", "report", "also", "max_failures", "timeout"),
    *("confirm", "holdout"),
}


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
    ranges = parse_ranges(ranges_block, parameters, where_block, warnings)
    objective = _parse_objective(block.get("objective"), where_block)
    reports = _parse_reports(block.get("report"), objective.direction, where_block)
    return SearchSpace(
        ranges=in_order_of_conditions(ranges, where_block),
        objective=objective,
        reports=reports,
        holdout=_parse_holdout(block.get("holdout"), (objective, *reports), where_block),
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
        ConfigurationError: The text is not a duration, or it is not positive.
    """
    if budget is None:
        return None
    seconds = parsed_duration(budget)
    if math.isnan(seconds):
        raise ConfigurationError(
            f"'{budget}' is not a duration", where=where, remedy="Write seconds, or 30min, 2h, 1d."
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
        raise ConfigurationError(f"'{trials}' is not a number of trials", where=where)
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
    """Intermediate values: ``dataset``, ``dataset:key`` or as the objective.

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


def _parse_holdout(spec: Any, searched: Sequence[Objective], where_block: str) -> Objective | None:
    """A value that the search never sees; by default better is the way of the objective."""
    where = f"{where_block}.holdout"
    if spec is None:
        return None
    if not isinstance(spec, Mapping) or not isinstance(spec.get("dataset"), str):
        raise ConfigurationError(
            "`holdout` names no dataset",
            where=where,
            remedy="Write for example: holdout: {dataset: test_metrics, key: accuracy}",
        )
    refuse_unknown_keys(spec, {"dataset", "key", "direction"}, where)
    key = _parse_key(spec.get("key"), f"{where}.key")
    direction = spec.get("direction", searched[0].direction)
    if direction not in ("maximize", "minimize"):
        raise ConfigurationError(
            f"direction is '{direction}', not maximize or minimize",
            where=where,
            remedy="Leave it out if it is that of the objective.",
        )
    holdout = Objective(spec["dataset"], key, direction, "holdout", where_block)
    for value in searched:
        if str(value) == str(holdout):
            raise ConfigurationError(
                f"{holdout} is also under `{value.role}`, so the search sees it",
                where=where,
                remedy="Name a value that is computed from other data.",
            )
    return holdout


def _parse_also(names: Any, where: str) -> tuple[str, ...]:
    """What trials run besides what the objective and the reports need."""
    names = [] if names is None else [names] if isinstance(names, str) else names
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
    if not is_finite(tolerance) or tolerance < 0:
        raise ConfigurationError(
            f"`tolerance` is {tolerance!r}, not a number from 0 on",
            where=f"{where}.tolerance",
            remedy=text_number_remedy(tolerance) or remedy,
        )
    return float(tolerance)
