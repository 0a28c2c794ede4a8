"""Adopt a trial: its values into a configuration environment, its outputs into the catalog."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from kedro.config import MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from kedro_eeipu.cache.store.store import Blob, CacheMiss
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.project.project import Project, read_parameters
from kedro_eeipu.search.space import override
from kedro_eeipu.search.stages import touches
from kedro_eeipu.study.records import TrialRecord

_MISSING = object()


def parameters_file(pipeline: str) -> str:
    """Name of the file that holds the applied values of a pipeline; each has its own."""
    return f"parameters_eeipu{'' if pipeline == '__default__' else f'_{pipeline}'}.yml"


@dataclass(frozen=True)
class BroughtOutputs:
    """What became of a trial's declared outputs.

    Attributes:
        saved: Names of the datasets written.
        missing: Why the cache could not give others, by name.
        failed: Why the dataset could not save others, by name.
    """

    saved: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def adopted(project: Project, trial: TrialRecord) -> dict[str, Any]:
    """What a trial changed of the project's own parameters, by ``--params`` too.

    Whole top-level sections, as Kedro merges them.

    Args:
        project: Loaded with the trial's environment and runtime parameters.
        trial: The trial.
    """
    given: dict[str, Any] = {}
    if project.runtime_params:
        try:
            own = read_parameters(project.path, project.env, conf_source=project.conf_source)
        except ConfigurationError:  # without the runtime parameters they cannot be read
            own = {}
        given = {
            section: value
            for section, value in project.parameters.items()
            if not _is_block(section) and (section not in own or own[section] != value)
        }
    return {**given, **override(project.parameters, trial.params)}


def needs_params(project: Project) -> bool:
    """Whether a plain run needs the ``--params`` of a trial, though its values are written down.

    It does where the configuration takes them from the command line: ``${runtime_params:…}``.

    Args:
        project: Loaded with the trial's environment and runtime parameters.
    """
    if not project.runtime_params:
        return False
    given, plain = (
        project.session.load_context(params).config_loader
        for params in (project.runtime_params, {})
    )
    try:
        plain["parameters"]
        return bool(given["catalog"] != plain["catalog"])
    except MissingConfigException:
        return False
    except OmegaConfBaseException:
        return True


def differing(
    project: Project, trial: TrialRecord, env: str | None, runtime_params: Mapping[str, Any]
) -> list[str]:
    """Dotted paths of what nodes would take in a plain run with other values than in a trial.

    Args:
        project: Loaded with the trial's environment and runtime parameters.
        trial: The trial, whose values have been written.
        env: The environment of the plain run.
        runtime_params: What it is given with ``--params``.

    Raises:
        ConfigurationError: Its parameters cannot be read.
    """
    then = {**project.parameters, **override(project.parameters, trial.params)}
    return [
        path
        for path in _differences(then, read_parameters(project.path, env, runtime_params))
        if any(touches(node, path) for node in project.pipeline.nodes)
    ]


def _differences(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key in [*a, *(key for key in b if key not in a)]:
        if not prefix and _is_block(key):
            continue
        path, left, right = f"{prefix}{key}", a.get(key, _MISSING), b.get(key, _MISSING)
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            yield from _differences(left, right, f"{path}.")
        elif left != right:
            yield path


def _is_block(section: object) -> bool:
    return section == "eeipu" or str(section).startswith("eeipu_")


def overrides_yaml(project: Project, trial: TrialRecord, study: str) -> str:
    """The trial's values as a parameters file."""
    values = adopted(project, trial)
    head = f"# Written by `kedro eeipu apply`: trial {trial.number} of study {study}"
    head += "" if trial.value is None else f", {project.space.objective} {trial.value:.6g}"
    return f"{head}\n{yaml.safe_dump(values, sort_keys=False)}"


def write_overrides(project: Project, trial: TrialRecord, study: str, env: str) -> Path:
    """Write the trial's values into a configuration environment, into a file of their own.

    Raises:
        ConfigurationError: The name leads out of ``conf/``, or another file of the environment
            sets the same keys: Kedro would refuse to load both.
    """
    if not re.fullmatch(r"\w[\w.-]*", env):
        raise ConfigurationError(f"'{env}' is no name of an environment", where="--env")
    folder = project.path / "conf" / env
    target = folder / parameters_file(project.pipeline_name)
    values = adopted(project, trial)
    for file in sorted(folder.glob("**/parameters*.y*ml")):
        if file == target:
            continue
        try:
            content = yaml.safe_load(file.read_text())
        except yaml.YAMLError as error:
            where = file.relative_to(project.path).as_posix()
            raise ConfigurationError(f"it cannot be read: {error}", where=where) from None
        both = sorted(set(content or ()) & set(values)) if isinstance(content, Mapping) else []
        if both:
            raise ConfigurationError(
                f"it already sets {', '.join(both)}, and Kedro refuses a key set twice",
                where=file.relative_to(project.path).as_posix(),
                remedy="Take them out of there, or name another environment, e.g. --env tuned.",
            )
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(overrides_yaml(project, trial, study))
    return target


def bring_outputs(project: Project, trial: TrialRecord) -> BroughtOutputs:
    """Save a trial's outputs where the catalog declares them, from the cache; nothing is run."""
    runtime = {**trial.runtime_params, **override(project.parameters, trial.params)}
    catalog: Any = project.session.load_context(runtime)._get_catalog()
    brought = BroughtOutputs()
    names = {n.name: n.outputs for n in project.pipeline.nodes}
    for node in trial.nodes:
        outputs = names.get(node.name, [])
        for name, (digest, size) in zip(outputs, node.outputs, strict=False):
            if name not in catalog or getattr(catalog[name], "_EPHEMERAL", False):
                continue
            if not digest:
                brought.missing[name] = "it cannot be stored in the cache"
                continue
            try:
                value = project.store.load(Blob(digest, size, 0.0))
            except CacheMiss as reason:
                brought.missing[name] = str(reason)
                continue
            try:
                catalog.save(name, value)
            except Exception as error:  # a dataset may raise anything, and the others can be saved
                brought.failed[name] = _root_cause(error)
            else:
                brought.saved.append(name)
    return brought


def _root_cause(error: BaseException) -> str:
    """What a dataset has raised, without Kedro's words around it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"
