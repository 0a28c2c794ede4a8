"""From a Kedro pipeline and the tuned parameters to the graph of stages.

For a node ``v``, ``A(v)`` is the set of tuned parameters that can change its result: those its
own inputs touch, and those of all its ancestors. Nodes with the same ``A`` run again together, so
they form one stage. On a chain the stages are the prefixes of Essofi et al. (arXiv 2411.03731);
on a DAG what can be served from the cache is any set of stages that is closed under ancestors.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from kedro_eeipu.search.paths import key_chains

__all__ = ["PipelineStage", "StageGraph", "holds", "reaching_parameters", "touches"]


@dataclass(frozen=True)
class PipelineStage:
    """Nodes that the same tuned parameters can change.

    Attributes:
        id: ``s0``, ``s1``, … in topological order.
        nodes: Names of its nodes, in the order in which they run.
        parameters: ``A(s)``, dotted paths in the order of the search space.
        parents: Positions of the stages on whose cached outputs this one directly builds.
        cacheable: Whether its outputs can be served from the cache.
    """

    id: str
    nodes: tuple[str, ...]
    parameters: tuple[str, ...]
    parents: frozenset[int]
    cacheable: bool = True


@dataclass(frozen=True)
class StageGraph:
    """The stages of a pipeline, parents before children.

    A node that is never cached runs in every trial and so belongs to a stage that is never
    served; what it produces may be the same each time, so it does not keep its descendants from
    being served. Stages therefore have as parents their nearest cacheable ancestors.
    """

    stages: tuple[PipelineStage, ...]

    def __iter__(self) -> Iterator[PipelineStage]:
        return iter(self.stages)

    def __len__(self) -> int:
        return len(self.stages)

    def __getitem__(self, index: int) -> PipelineStage:
        return self.stages[index]

    def stage_of(self, node: str) -> int:
        """Position of the stage that holds the node with this name."""
        return next(i for i, s in enumerate(self.stages) if node in s.nodes)

    @classmethod
    def from_pipeline(
        cls,
        pipeline: Pipeline,
        paths: Sequence[str],
        uncacheable: Collection[str] = (),
        parameters: Mapping[str, Any] | None = None,
    ) -> StageGraph:
        """Build the stage graph of a Kedro pipeline.

        Args:
            pipeline: The pipeline that each trial runs.
            paths: Dotted paths of the tuned parameters.
            uncacheable: Names of nodes that are never served from the cache.
            parameters: The project's parameters, see `holds`.
        """
        reach = reaching_parameters(pipeline, paths, parameters)
        groups: dict[tuple[frozenset[str], bool], list[str]] = {}
        for node in pipeline.nodes:
            groups.setdefault((reach[node.name], node.name not in uncacheable), []).append(
                node.name
            )
        # A(parent) is a subset of A(child); a stage that is never cached is nobody's parent.
        order = sorted(groups, key=lambda g: (len(g[0]), not g[1]))
        position = {name: i for i, g in enumerate(order) for name in groups[g]}
        parents = _cacheable_parents(pipeline, uncacheable)
        return cls(
            tuple(
                PipelineStage(
                    id=f"s{i}",
                    nodes=tuple(groups[g]),
                    parameters=tuple(p for p in paths if p in g[0]),
                    parents=frozenset(position[p] for name in groups[g] for p in parents[name])
                    - {i},
                    cacheable=g[1],
                )
                for i, g in enumerate(order)
            )
        )


def reaching_parameters(
    pipeline: Pipeline, paths: Sequence[str], parameters: Mapping[str, Any] | None = None
) -> dict[str, frozenset[str]]:
    """``A(v)`` for every node, by node name; of the parameters see `holds`."""
    reach: dict[str, frozenset[str]] = {}
    parents = {n.name: [p.name for p in ps] for n, ps in pipeline.node_dependencies.items()}
    for node in pipeline.nodes:
        own = {path for path in paths if touches(node, path, parameters)}
        reach[node.name] = frozenset(own.union(*(reach[p] for p in parents[node.name])))
    return reach


def touches(node: Node, path: str, parameters: Mapping[str, Any] | None = None) -> bool:
    """Whether an input of the node holds the parameter; of the parameters see `holds`."""
    return any(holds(name, path, parameters) for name in node.inputs)


def holds(name: str, path: str, parameters: Mapping[str, Any] | None = None) -> bool:
    """Whether an input holds a parameter: as itself, around it or inside it.

    Args:
        name: Name of the input.
        path: Dotted path of the parameter.
        parameters: The project's parameters. A key may hold a dot itself: of ``demo: 5`` and
            ``demo.config: {…}``, neither holds the other, whatever their names look like.
    """
    if name == "parameters":
        return True
    own = name.removeprefix("params:")
    if own == name:
        return False
    if own == path:
        return True
    inside = path.startswith(f"{own}.") or own.startswith(f"{path}.")
    if not inside or parameters is None:
        return inside
    chains = [key_chains(parameters, p) for p in (own, path)]
    if not all(chains):
        return inside
    shorter, longer = sorted((chain[-1] for chain in chains), key=len)
    return longer[: len(shorter)] == shorter


def _cacheable_parents(
    pipeline: Pipeline, uncacheable: Collection[str]
) -> Mapping[str, frozenset[str]]:
    """Nearest cacheable ancestors of each node, by name."""
    parents: dict[str, frozenset[str]] = {}
    dependencies = {n.name: [p.name for p in ps] for n, ps in pipeline.node_dependencies.items()}
    for node in pipeline.nodes:
        names: set[str] = set()
        for parent in dependencies[node.name]:
            names |= parents[parent] if parent in uncacheable else {parent}
        parents[node.name] = frozenset(names)
    return parents
