"""Adopt a trial: its values into a configuration environment, its outputs into the catalog."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kedro_eeipu.cache.store import Blob, CacheMiss
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.graph.space import override
from kedro_eeipu.project import Project
from kedro_eeipu.study.records import TrialRecord


def parameters_file(pipeline: str) -> str:
    """Name of the file that holds the applied values of a pipeline; each has its own."""
    return f"parameters_eeipu{'' if pipeline == '__default__' else f'_{pipeline}'}.yml"


@dataclass(frozen=True)
class BroughtOutputs:
    """What became of a trial's declared outputs.

    Attributes:
        saved: Names of the datasets written.
        missing: Why others were not, by name.
    """

    saved: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


def overrides_yaml(project: Project, trial: TrialRecord, study: str) -> str:
    """The trial's values as a parameters file: whole top-level subtrees, as Kedro merges them."""
    values = override(project.parameters, trial.params)
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
    values = override(project.parameters, trial.params)
    for file in sorted(folder.glob("**/parameters*.y*ml")):
        if file == target:
            continue
        content = yaml.safe_load(file.read_text())
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
            try:
                value = project.store.load(Blob(digest, size, 0.0))
            except CacheMiss as reason:
                brought.missing[name] = str(reason)
                continue
            catalog.save(name, value)
            brought.saved.append(name)
    return brought
