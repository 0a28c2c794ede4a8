"""What cannot work in a project is refused before anything runs; what is odd gets a warning."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, CatalogProtocol
from kedro.pipeline import Pipeline

from kedro_eeipu._kedro import strip_transcoding, wrapped_dataset
from kedro_eeipu.config.settings import FILE, CacheSettings
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.project.needed import Places
from kedro_eeipu.search import SearchSpace
from kedro_eeipu.search.space import as_written
from kedro_eeipu.search.stages import reaching_parameters, touches
from kedro_eeipu.wording import did_you_mean, scalar

__all__ = [
    "check_files",
    "check_objective",
    "check_pipeline",
    "check_reach",
    "check_value_kinds",
    "holds_no_number",
    "missing_files",
    "nodes_without_outputs",
    "uneven_steps",
    "unmatched_settings",
    "unmatched_timeouts",
]


def check_pipeline(name: str, registered: Collection[str]) -> None:
    """Refuse a pipeline that is not registered.

    Raises:
        ConfigurationError: It is not.
    """
    try:
        known = sorted(registered)
    except ImportError as error:  # Kedro imports the pipelines when they are first looked at
        cause: BaseException = error
        while isinstance(cause.__cause__, ImportError):
            cause = cause.__cause__
        raise ConfigurationError(
            f"the pipelines of the project cannot be imported ({cause})",
            remedy="Install what is missing, or fix the import. `kedro registry list` shows where "
            "it is.",
        ) from error
    if name not in known:
        raise ConfigurationError(
            f"there is no pipeline '{name}'",
            remedy=_sentences(did_you_mean(name, known), f"Known: {', '.join(known)}."),
        )


def check_reach(
    registered: Pipeline,
    pipeline: Pipeline,
    space: SearchSpace,
    where: str,
    parameters: Mapping[str, Any],
) -> None:
    """Refuse a range that no node on the way to the objective takes in.

    Args:
        registered: The whole pipeline.
        pipeline: The nodes of it that trials run.
        space: What is searched.
        where: The file and the block that declare it.
        parameters: The project's parameters.

    Raises:
        ConfigurationError: There is one.
    """
    reached = set().union(*reaching_parameters(pipeline, space.paths, parameters).values())
    for path in space.paths:
        if path not in reached:
            elsewhere = [n.name for n in registered.nodes if touches(n, path, parameters)]
            if elsewhere:
                raise ConfigurationError(
                    f"'{path}' changes nothing that the objective needs: only "
                    f"{', '.join(elsewhere)} {'takes' if len(elsewhere) == 1 else 'take'} it, "
                    "which trials leave out",
                    where=f"{where}.space.{path}",
                    remedy="Take the range out, or let trials run more: "
                    f"also: [{', '.join(map(scalar, elsewhere))}]",
                )
            taken = sorted(
                {
                    i[len("params:") :]
                    for n in pipeline.nodes
                    for i in n.inputs
                    if i.startswith("params:")
                }
            )
            raise ConfigurationError(
                f"no node of the pipeline takes '{path}', so tuning it changes nothing",
                where=f"{where}.space.{path}",
                remedy=f"Its nodes take: {', '.join(taken) or 'no parameters'}.",
            )


def check_objective(pipeline: Pipeline, space: SearchSpace, where: str, name: str) -> None:
    """Refuse an objective, a report or a held out value that no node produces.

    Args:
        pipeline: The whole pipeline.
        space: What is searched.
        where: The file and the block that declare it.
        name: The name of the pipeline in the registry.

    Raises:
        ConfigurationError: No node does.
    """
    produced = sorted(pipeline.all_outputs())
    is_shared = where.endswith(": eeipu") and name != "__default__" and bool(pipeline.nodes)
    for value in space.values:
        if value.dataset not in produced:
            raise ConfigurationError(
                f"no node of the pipeline produces the dataset '{value.dataset}'",
                where=f"{where}.{value.role}",
                remedy=_sentences(
                    _named_alike(value.dataset, produced),
                    _produced(pipeline, produced),
                    nodes_without_outputs(pipeline, value.dataset),
                    f"For this pipeline write a block of its own, `eeipu_{name}`."
                    if is_shared
                    else "",
                ),
            )


def _named_alike(dataset: str, produced: Sequence[str]) -> str:
    """A question for the dataset that was meant: this one, read in some way, before any other."""
    read = next((name for name in produced if strip_transcoding(name) == dataset), None)
    return f"Did you mean '{read}'?" if read else did_you_mean(dataset, produced)


def _produced(pipeline: Pipeline, produced: Sequence[str]) -> str:
    if not pipeline.nodes:
        return "The pipeline has no nodes."
    return f"Its nodes produce: {', '.join(produced)}." if produced else "Its nodes return nothing."


def nodes_without_outputs(pipeline: Pipeline, dataset: str = "metrics") -> str:
    """How the nodes that return nothing can return a metric; empty where there are none.

    Args:
        pipeline: The pipeline.
        dataset: What to call the metric.
    """
    nodes = [n.name for n in pipeline.nodes if not n.outputs]
    if not nodes:
        return ""
    return (
        f"What these nodes compute is not kept, because they have outputs=None: "
        f"{', '.join(nodes)}. If one of them computes the metric, return it from the function and "
        f'write outputs="{dataset}" in the node.'
    )


# Kinds of datasets whose values are pictures, pages or text.
_WITHOUT_NUMBERS = ("email", "holoviews", "matplotlib", "pillow", "plotly", "text", "video")


def check_value_kinds(catalog: CatalogProtocol[Any, Any], space: SearchSpace) -> None:
    """Refuse an objective or the like whose dataset is declared as something without numbers.

    Raises:
        ConfigurationError: There is one.
    """
    for value in space.values:
        declared = catalog.get(value.dataset) if value.dataset in catalog else None
        if declared is not None and holds_no_number(declared):
            raise ConfigurationError(
                f"'{value.dataset}' is a {type(wrapped_dataset(declared)).__name__}, "
                "which holds no number",
                where=f"{value.where}.{value.role}",
                remedy="Name a dataset with the metric in it, as a number, a mapping or a table.",
            )


def holds_no_number(dataset: AbstractDataset[Any, Any]) -> bool:
    """Whether a dataset is of a kind that holds pictures, pages or text."""
    modules = [c.__module__.split(".") for c in type(wrapped_dataset(dataset)).__mro__]
    return any(m[0] == "kedro_datasets" and m[1] in _WITHOUT_NUMBERS for m in modules if m[1:])


# Kinds of datasets several of which may be in one file, as sheets or under keys.
_SHARING_A_FILE = ("ExcelDataset", "HDFDataset")


def check_files(
    registered: Pipeline, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
) -> None:
    """Refuse an input that is in a file which a node writes under another name.

    Trials keep what they produce in the cache, so such an input would be read as an earlier plain
    run left it, or as the node wrote it before it was written over.

    Args:
        registered: The whole pipeline.
        pipeline: The nodes of it that trials run.
        catalog: The catalog.

    Raises:
        ConfigurationError: There is one.
    """
    places = Places(registered, catalog)
    produced = {strip_transcoding(name) for name in registered.all_outputs()}
    read = {strip_transcoding(name) for node in pipeline.nodes for name in node.inputs}
    for name in sorted(pipeline.inputs()):
        if strip_transcoding(name) in produced:
            continue
        for other in places.writers(name):
            raise ConfigurationError(
                f"'{name}' reads {places.of(name)}, which a node of the pipeline writes as "
                f"'{other}'",
                where="catalog.yml",
                remedy=f"Let its nodes take '{other}' as their input: trials write no files.",
            )
    for name, own in places.written.items():
        if strip_transcoding(name) not in read or _shares_a_file(catalog, name):
            continue
        for other, file in places.written.items():
            same = own == file or own.startswith(f"{file}/") or file.startswith(f"{own}/")
            if same and strip_transcoding(name) != strip_transcoding(other):
                raise ConfigurationError(
                    f"'{name}' and '{other}' are both written to {own}, and a node reads '{name}'",
                    where="catalog.yml",
                    remedy="What it reads depends on which of them is written last, and trials "
                    "write no files. Give each of them a place of its own.",
                )


def _shares_a_file(catalog: CatalogProtocol[Any, Any], name: str) -> bool:
    """Whether a dataset is a part of its file."""
    kinds = type(wrapped_dataset(catalog[name])).__mro__
    return any(kind.__name__ in _SHARING_A_FILE for kind in kinds)


def unmatched_settings(cache: CacheSettings, pipeline: Pipeline) -> Iterator[str]:
    """Warns of nodes and inputs in ``eeipu.yml`` that the pipeline does not have."""
    nodes = [n.name for n in pipeline.nodes]
    inputs = sorted(pipeline.inputs())
    unmatched = [("nodes", p, nodes) for p in cache.nodes if not fnmatch.filter(nodes, p)]
    unmatched += [("inputs", name, inputs) for name in cache.inputs if name not in inputs]
    for key, name, candidates in unmatched:
        yield _sentences(
            f"{FILE}: cache.{key}.{name} matches nothing in the pipeline.",
            did_you_mean(name, candidates),
        )


def missing_files(cache: CacheSettings, path: Path, pipeline: Pipeline) -> Iterator[str]:
    """Warns of files that nodes depend on and that are not there.

    Args:
        cache: What ``eeipu.yml`` says about the cache.
        path: The project's root.
        pipeline: The pipeline.
    """
    nodes = [n.name for n in pipeline.nodes]
    for pattern, settings in cache.nodes.items():
        for name in settings.depends_on:
            if name.startswith("$") or (path / name).exists():
                continue
            if never := [n for n in nodes if cache.of_node(n) is settings]:
                yield (
                    f"{FILE}: cache.nodes.{pattern}.depends_on: there is no file {name}, so "
                    f"{', '.join(never)} {'is' if len(never) == 1 else 'are'} never reused"
                )


def unmatched_timeouts(timeouts: Collection[str], pipeline: Pipeline) -> Iterator[str]:
    """Warns of nodes with a timeout in ``eeipu.yml`` that the pipeline does not have."""
    nodes = [n.name for n in pipeline.nodes]
    for name in timeouts:
        if not fnmatch.filter(nodes, name):
            yield _sentences(
                f"{FILE}: nodes.{name} matches nothing in the pipeline.", did_you_mean(name, nodes)
            )


def uneven_steps(space: SearchSpace, where: str) -> Iterator[str]:
    """Warns of ranges whose steps do not reach their upper end.

    Args:
        space: What is searched.
        where: The file and the block that declare it.
    """
    for r in space:
        if r.step is not None and r.last < r.high:
            yield (
                f"{where}.space.{r.path}: steps of {as_written(r.step)} from {as_written(r.low)} "
                f"do not reach {as_written(r.high)}; the last value is {as_written(r.last)}"
            )


def _sentences(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
