"""What a trial runs: what its objective and its reports need, and what the user adds.

Plots, explanations and other branches of a pipeline cannot change the objective, and are often
the more expensive part. What is needed are the ancestors, by the names of datasets and by the
files that hold them.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

from kedro.io import CatalogProtocol, DatasetError
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline

from kedro_eeipu._kedro import location, protocol, strip_transcoding
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.search import SearchSpace
from kedro_eeipu.wording import did_you_mean

__all__ = ["Places", "needed_nodes"]


class Places:
    """The files of a pipeline's datasets.

    Args:
        pipeline: The whole pipeline.
        catalog: The catalog; it is only read.

    Attributes:
        unusable: Why datasets cannot be made, by name.
    """

    def __init__(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        self._catalog = catalog
        self._outputs = sorted(pipeline.all_outputs())
        self.unusable: dict[str, DatasetError] = {}

    @cached_property
    def written(self) -> dict[str, str]:
        """The places of what nodes produce, by name."""
        return {name: place for name in self._outputs if (place := self.of(name))}

    def of(self, name: str) -> str:
        """The place of a declared dataset, empty for one that is not in files."""
        try:
            dataset = self._catalog.get(name) if name in self._catalog else None
        except DatasetError as error:  # such as for a library that is not installed
            self.unusable[name] = error
            return ""
        path = location(dataset)
        if not path:
            return ""
        kind = protocol(dataset)
        return f"{kind}:{os.path.realpath(path) if kind == 'file' else path}"

    def writers(self, name: str) -> list[str]:
        """Datasets of other names that nodes write where this one is read from.

        Either may be a folder that holds the other.
        """
        own = "" if is_parameter(name) else self.of(name)
        return [
            other
            for other, place in self.written.items()
            if own
            and strip_transcoding(other) != strip_transcoding(name)
            and (
                own == place or own.startswith(f"{place}/") or self._reads_within(name, own, place)
            )
        ]

    def _reads_within(self, name: str, own: str, place: str) -> bool:
        """Whether a dataset of partitions takes what is written within its folder for one."""
        suffix = getattr(self._catalog.get(name), "_filename_suffix", "")
        return place.startswith(f"{own}/") and place.endswith(suffix)


def needed_nodes(
    pipeline: Pipeline, space: SearchSpace, catalog: CatalogProtocol[Any, Any], where: str
) -> frozenset[str]:
    """Names of the nodes that a trial needs: the ancestors of all that it is asked for.

    Args:
        pipeline: The pipeline as it is registered.
        space: Says what is asked for: the objective, the reports and `also`.
        catalog: The catalog, which says where datasets are.
        where: The file and the block that declare the search.

    Raises:
        ConfigurationError: `also` names something that the pipeline does not have.
        DatasetError: A dataset that a trial needs cannot be made.
    """
    values = {space.objective.dataset, *(report.dataset for report in space.reports)}
    wanted = [n.name for n in pipeline.nodes if values.intersection(n.outputs)]
    for entry in space.also:
        wanted += _named(entry, pipeline, where)
    parents = {n.name: [p.name for p in ps] for n, ps in pipeline.node_dependencies.items()}
    places = Places(pipeline, catalog)
    producers = {name: n.name for n in pipeline.nodes for name in n.outputs}
    inputs = {n.name: n.inputs for n in pipeline.nodes}
    needed: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in needed:
            continue
        needed.add(name)
        wanted += parents[name]
        wanted += [producers[other] for i in inputs[name] for other in places.writers(i)]
    for node in pipeline.nodes:
        # Kedro drops an entry that it could not make, so it would not fail again.
        broken = [n for n in (*node.inputs, *node.outputs) if n in places.unusable]
        if node.name in needed and broken:
            raise places.unusable[broken[0]]
    return frozenset(needed)


def _named(entry: str, pipeline: Pipeline, where: str) -> list[str]:
    """Names of the nodes that an entry of `also` means: a node, a tag or a dataset."""
    nodes = [
        n.name
        for n in pipeline.nodes
        if entry == n.name
        or entry in n.tags
        or any(entry in (o, strip_transcoding(o)) for o in n.outputs)
    ]
    if not nodes:
        names = [n.name for n in pipeline.nodes]
        tags = {tag for n in pipeline.nodes for tag in n.tags}
        hint = did_you_mean(entry, sorted({*names, *tags, *pipeline.all_outputs()}))
        raise ConfigurationError(
            f"the pipeline has no node, tag or produced dataset '{entry}'",
            where=f"{where}.also",
            remedy=" ".join(filter(None, (hint, f"Its nodes are: {', '.join(names)}."))),
        )
    return nodes
