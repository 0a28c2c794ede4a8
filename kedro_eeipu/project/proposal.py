"""An ``eeipu`` block for a pipeline that has none, made from its nodes, parameters and catalog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from kedro_eeipu._kedro import base_environment, catalog_of, file_path, wrapped_dataset
from kedro_eeipu._kedro_sessions import create_session
from kedro_eeipu.config.loading import configuration_files, content_of, searches_in
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.project.checks import check_pipeline, holds_no_number, nodes_without_outputs
from kedro_eeipu.project.parameters import (
    catalog_errors,
    context_parameters,
    open_context,
    parameters_file,
    shown_path,
)
from kedro_eeipu.schemas import SCHEMAS_URL
from kedro_eeipu.search.example import (
    example_block,
    guess_direction,
    metric_likeness,
    ranges_of,
)
from kedro_eeipu.search.space import Objective, as_number
from kedro_eeipu.search.stages import touches

__all__ = ["NoBlockError", "ProposedBlock", "propose_block"]

_UNKNOWN_KEY = "accuracy"
_SOUNDS_LIKE_A_METRIC = 2


class NoBlockError(ConfigurationError):
    """A pipeline has no ``eeipu`` block.

    Attributes:
        proposed: The one that could be written.
    """

    def __init__(self, proposed: ProposedBlock, *, printed: bool = False) -> None:
        self.proposed = proposed
        writes = f"`kedro eeipu init{proposed.options}` writes"
        rest = f"to {proposed.file}; correct the objective and the ranges there."
        lines = [f"{writes} this one {rest}"] if printed else [f"{writes} one {rest}"]
        lines += [] if printed else [f"\n{proposed.text}\n"]
        lines += proposed.hints
        super().__init__(
            f"there is no `{proposed.key}` block, so nothing to tune",
            where=proposed.where,
            remedy="\n".join(lines).rstrip(),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker sends it to the tuning process.
        return NoBlockError, (self.proposed,)


@dataclass(frozen=True)
class ProposedBlock:
    """A block that could be written.

    Attributes:
        key: Its key, ``eeipu`` or ``eeipu_<pipeline>``.
        text: The block, as YAML.
        file: The file to write, relative to the project.
        where: The parameters file that would be looked at first.
        hints: What else is to be said.
        options: Options of the command that writes it.
        has_ranges: Whether its ranges are of the project; else they are an example.
    """

    key: str
    text: str
    file: str
    where: str
    hints: tuple[str, ...] = ()
    options: str = ""
    has_ranges: bool = True

    def write(self, root: Path) -> None:
        """Write the block into its file.

        Raises:
            ConfigurationError: The pipeline's parameters could not be tuned, or the file is there.
        """
        target = root / self.file
        if not self.has_ranges:
            raise ConfigurationError(
                "no number or boolean that the nodes of the pipeline take looks like one to tune",
                where=self.where,
                remedy=f"Write a block with ranges for what is to be tuned:\n\n{self.text}",
            )
        if target.exists():
            raise ConfigurationError(
                "the file exists already, and nothing is overwritten",
                where=self.file,
                remedy=f"Paste the block into a parameters file:\n\n{self.text}",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        head = (
            f"# yaml-language-server: $schema={SCHEMAS_URL}/parameters.schema.json\n"
            "# Written by `kedro eeipu init`: a first guess; correct it.\n"
        )
        target.write_text(f"{head}{self.text}\n")


def propose_block(
    path: Path,
    *,
    env: str | None = None,
    pipeline_name: str = "__default__",
    runtime_params: Mapping[str, Any] | None = None,
    conf_source: str | None = None,
) -> ProposedBlock:
    """A block for a pipeline of a bootstrapped project; nothing is run.

    Raises:
        ConfigurationError: There is no such pipeline, it has a block, or the configuration cannot
            be read.
    """
    session = create_session(path, env, conf_source)
    context = open_context(session, runtime_params)
    parameters = context_parameters(context, parameters_file(context))
    check_pipeline(pipeline_name, pipelines)
    source = Path(str(context.config_loader.conf_source))
    if not source.is_dir():
        raise ConfigurationError(
            f"a block cannot be written into {source}, which is not a folder",
            where="--conf-source",
            remedy="`kedro eeipu plan` prints one: write it into the folder it was packed from.",
        )
    key = "eeipu" if pipeline_name == "__default__" else f"eeipu_{pipeline_name}"
    if key in parameters:
        raise ConfigurationError(
            f"there is a block `{key}` already",
            where=parameters_file(context, key),
            remedy="Edit it; `kedro eeipu plan` checks it.",
        )
    return proposed_block(context, parameters, pipelines[pipeline_name], pipeline_name, env)


def proposed_block(
    context: KedroContext,
    parameters: Mapping[str, Any],
    pipeline: Pipeline,
    pipeline_name: str,
    env: str | None,
) -> ProposedBlock:
    """A block for a pipeline.

    Args:
        context: The context of the project.
        parameters: Its parameters.
        pipeline: The pipeline.
        pipeline_name: Its name in the registry.
        env: The environment to write to, ``None`` for the base environment.
    """
    own = "" if pipeline_name == "__default__" else f"_{pipeline_name}"
    with catalog_errors(context):
        objective, note = _guess_objective(pipeline, catalog_of(context))
    produced = objective.dataset in pipeline.all_outputs()
    needed = pipeline.to_outputs(objective.dataset) if produced else pipeline

    def taken(name: str) -> bool:
        return any(touches(node, name) for node in needed.nodes)

    folder = _folder(context, [r for r in parameters if taken(str(r))], env)
    options = f" --pipeline {quote(pipeline_name)}" if own else ""
    return ProposedBlock(
        key=f"eeipu{own}",
        text=example_block(
            parameters,
            objective,
            key=f"eeipu{own}",
            taken=taken,
            note=note,
        ),
        file=shown_path(context, folder / f"parameters_eeipu{own}.yml"),
        where=parameters_file(context),
        hints=tuple(filter(None, _hints(context, pipeline, objective))),
        options=options + (f" --env {quote(env)}" if env else ""),
        has_ranges=any(True for _ in ranges_of(parameters, taken)),
    )


def _hints(context: KedroContext, pipeline: Pipeline, objective: Objective) -> Iterator[str]:
    for file in configuration_files(context, "eeipu"):
        if searches_in(file) and file not in configuration_files(context, "parameters"):
            yield (
                f"{shown_path(context, file)} holds a block, but Kedro reads parameters from files "
                "and folders named parameters* only: rename it to parameters_eeipu.yml."
            )
    if objective.dataset not in pipeline.all_outputs():
        yield nodes_without_outputs(pipeline)


def _folder(context: KedroContext, sections: list[Any], env: str | None) -> Path:
    """The folder of the file that holds most of these sections of the parameters."""
    loader: Any = context.config_loader
    base = Path(str(loader.conf_source)) / (env or base_environment(loader))
    holding = {
        file.parent: sum(section in content_of(file, str(section)) for section in sections)
        for file in reversed(configuration_files(context, "parameters"))
        if file.is_relative_to(base)
    }
    return max(holding, key=lambda folder: holding[folder], default=base)


def _guess_objective(
    pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
) -> tuple[Objective, str]:
    """The output that is most likely a metric, by name and kind; and what to check of it."""
    free = pipeline.outputs()
    likeness: dict[str, float] = {}
    for node in pipeline.nodes:
        for name in node.outputs:
            declared = catalog.get(name) if name in catalog else None
            if declared is not None and holds_no_number(declared):
                continue
            likeness[name] = float(metric_likeness(name) + (name in free))
            if likeness[name] > 0:
                likeness[name] += _kind_likeness(declared)
    silent = any(not node.outputs for node in pipeline.nodes)
    # Of equals the last one: metrics come late.
    dataset = max(reversed(likeness), key=lambda name: likeness[name], default="")
    if not dataset or (silent and metric_likeness(dataset) < _SOUNDS_LIKE_A_METRIC):
        return Objective("metrics", _UNKNOWN_KEY, "maximize"), "no node returns a metric yet"
    key = _recorded_key(catalog, dataset)
    if key is None:
        direction = guess_direction(dataset)
        return Objective(dataset, _UNKNOWN_KEY, direction), "the key of the number in it"
    return Objective(dataset, key, guess_direction(dataset, key.rpartition(".")[2])), ""


def _kind_likeness(dataset: Any) -> float:
    """How much the kind of a dataset is that of metrics; 0 for one in memory."""
    if dataset is None:
        return 0.0
    kind = type(wrapped_dataset(dataset)).__name__.lower()
    if "metric" in kind:
        return 4.0
    return 2.0 if kind.startswith(("json", "yaml")) else -1.0


def _recorded_key(catalog: CatalogProtocol[Any, Any], name: str) -> str | None:
    """The first key that leads to a number in what an earlier run wrote, empty for a number itself.

    None if that is not known: only small files of mappings are looked into.
    """
    dataset = catalog.get(name) if name in catalog else None
    if dataset is None or not file_path(wrapped_dataset(dataset)) or _kind_likeness(dataset) < 1:
        return None
    try:
        if not dataset.exists():
            return None
        return _key_of_number(dataset.load())
    except Exception:  # whatever a dataset raises: then it is not known
        return None


def _key_of_number(value: Any) -> str | None:
    try:
        as_number(value)
    except TypeError:
        pass
    else:
        return ""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            below = _key_of_number(inner)
            if below is not None:
                return f"{key}.{below}" if below else str(key)
    return None
