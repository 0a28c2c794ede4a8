"""The state of a project's pipeline: what the values of trials depend on besides their parameters.

Only the nodes that the objective needs are part of it: neither what trials leave out, nor what
they run for reports or because of `also`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kedro.io import CatalogProtocol
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from kedro_eeipu._kedro import strip_transcoding
from kedro_eeipu.hooks.action import NodeAction
from kedro_eeipu.hooks.doubts import Doubts
from kedro_eeipu.hooks.opened_files import ChangedFiles
from kedro_eeipu.hooks.plan import Planner, RunPlan
from kedro_eeipu.hooks.state_parts import connections, parameter_token, parts_without_key
from kedro_eeipu.hooks.units import UnitAction
from kedro_eeipu.hooks.world import short
from kedro_eeipu.search import SearchSpace
from kedro_eeipu.search.block import is_block
from kedro_eeipu.search.paths import key_chains, value_at
from kedro_eeipu.search.stages import holds
from kedro_eeipu.study.pipeline_state import PipelineState, digest_of, is_own, part_of_node

__all__ = ["fixed_parts", "pipeline_state"]


def fixed_parts(
    plan: RunPlan, space: SearchSpace, parameters: Mapping[str, Any]
) -> dict[str, dict[str, str]]:
    """The parts of each node's key that no trial changes: code, settings, fixed inputs.

    Args:
        plan: A plan of the pipeline that trials run.
        space: What is searched.
        parameters: The project's parameters.
    """

    def varies(part: str) -> bool:
        return part in plan.datasets or any(holds(part, p, parameters) for p in space.paths)

    return {
        name: {part: token for part, token in action.parts().items() if not varies(part)}
        for name, action in plan.actions.items()
    }


def pipeline_state(
    pipeline: Pipeline,
    plan: RunPlan,
    planner: Planner,
    space: SearchSpace,
    parameters: Mapping[str, Any],
    *,
    catalog: CatalogProtocol[Any, Any],
    manager: Any,
) -> PipelineState:
    """The state of a pipeline now; nothing is run.

    Args:
        pipeline: The nodes that the objective needs.
        plan: A plan of the pipeline that trials run.
        planner: What has made it.
        space: What is searched.
        parameters: The project's parameters.
        catalog: The catalog.
        manager: Pluggy's manager of the session's hooks.
    """

    def parts_of(action: NodeAction) -> dict[str, str]:
        if action.identity is not None:
            return action.parts()
        node, inputs = action.node, action.inputs
        inside = plan.datasets.keys() | plan.streamed.keys()
        fixed = {name: d for name, d in inputs.items() if name not in inside}
        settings, folder = planner.settings, planner.project
        return parts_without_key(node, fixed, catalog, settings, folder, manager)

    graph, parts = _graph(pipeline.nodes, plan, parts_of)
    fixed, tuned = _parameters(pipeline.nodes, parameters, frozenset(space.paths))
    doubts, world = Doubts(planner.store, planner.settings), planner.world
    doubted = {
        node.name: "" if doubt.never or world is None else short(world.digest)
        for node in pipeline.nodes
        if (doubt := doubts.of(node)) and not doubt.unit
    }
    actions = [plan.actions[node.name] for node in pipeline.nodes]
    units = {a.node.name: a.part for a in actions if isinstance(a, UnitAction) and a.part}
    keys = fixed_parts(plan, space, parameters)
    files = ChangedFiles(planner.project, frozenset(node.name for node in pipeline.nodes))
    return PipelineState(graph, parts, fixed, tuned, keys, doubted, units, files)


def _graph(
    nodes: list[Node], plan: RunPlan, parts_of: Callable[[NodeAction], Mapping[str, str]]
) -> tuple[str, dict[str, str]]:
    """Digest of nodes and of how they are connected; what it is made of, in words.

    Each node is known by its parts, and by the nodes that make its inputs.

    Args:
        nodes: The nodes, each after those that it depends on.
        plan: A plan of the pipeline.
        parts_of: The parts of a node's key.
    """
    produced: dict[str, str] = {}  # tokens of produced datasets, by name
    tokens: list[str] = []
    words: dict[str, str] = {}
    for node in nodes:
        parts = parts_of(plan.actions[node.name])
        inputs: dict[str, str] = {}
        for name in node.inputs:
            source = produced.get(strip_transcoding(name))
            if is_parameter(name):
                inputs[name] = name
            elif source is None:
                inputs[name] = parts.get(name, "")
                words[f"input `{name}`"] = inputs[name]
            else:
                dataset = plan.datasets.get(name)
                kind_token = (dataset.kind_token if dataset is not None else None) or ""
                inputs[name] = digest_of([source, kind_token])
                if kind_token:
                    words[f"how `{name}` is saved and loaded"] = kind_token[:12]
        own = {part: token for part, token in parts.items() if is_own(part)}
        words |= {part_of_node(node.name, part): token for part, token in own.items()}
        token = digest_of([own, connections(node, inputs)])
        tokens.append(token)
        produced |= {
            strip_transcoding(name): digest_of([token, i]) for i, name in enumerate(node.outputs)
        }
    return digest_of(sorted(tokens)), words


def _parameters(
    nodes: list[Node], parameters: Mapping[str, Any], ranges: frozenset[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Tokens of the parameters that nodes take, by path: of those that are fixed, of the tuned."""
    fixed: dict[str, str] = {}
    tuned: dict[str, str] = {}
    for name in dict.fromkeys(name for node in nodes for name in node.inputs):
        for path, value in _leaves(parameters, name, ranges):
            tokens = tuned if _is_tuned(path, ranges) else fixed
            tokens[path] = parameter_token(value)
    return fixed, tuned


def _leaves(
    parameters: Mapping[Any, Any], name: str, ranges: frozenset[str]
) -> Iterator[tuple[str, Any]]:
    """The parameters that an input holds, down to what is not a mapping or is tuned as one."""
    if name == "parameters":
        for section, value in parameters.items():
            if not is_block(section):
                yield from _inside(str(section), value, ranges)
    elif is_parameter(name):
        path = name.removeprefix("params:")
        if chains := key_chains(parameters, path):
            yield from _inside(path, value_at(parameters, chains[-1]), ranges)


def _inside(path: str, value: Any, ranges: frozenset[str]) -> Iterator[tuple[str, Any]]:
    if path in ranges or not isinstance(value, Mapping) or not value:
        yield path, value
        return
    for key, inner in value.items():
        yield from _inside(f"{path}.{key}", inner, ranges)


def _is_tuned(path: str, ranges: frozenset[str]) -> bool:
    """Whether a range sets a parameter, or the mapping that it is in."""
    return path in ranges or any(path.startswith(f"{outer}.") for outer in ranges)
