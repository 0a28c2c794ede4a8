"""What ``kedro eeipu plan`` says about the nodes of a project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedro_eeipu._kedro import catalog_of, strip_transcoding
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.hooks.action import NodeAction
from kedro_eeipu.hooks.declared import file_config
from kedro_eeipu.project.project import Project
from kedro_eeipu.search.stages import touches
from kedro_eeipu.states import NodeState
from kedro_eeipu.study.records import NodeRecord, TrialRecord

__all__ = ["node_plan", "seconds_left_out"]


def node_plan(project: Project, trials: Sequence[TrialRecord] = ()) -> list[dict[str, Any]]:
    """What ``kedro eeipu plan --format json`` says about each node.

    Args:
        project: The project.
        trials: The trials of the study. Whether an output is lazy is known once it was made.
    """
    graph = project.stage_graph()
    actions = project.dry_plan().actions
    latest = {node.name: node for trial in trials for node in trial.nodes if node.has_outputs}
    return [
        {
            "name": name,
            "stage": graph[graph.stage_of(name)].id,
            "parameters": [
                p for p in project.space.paths if touches(action.node, p, project.parameters)
            ],
            "cacheable": action.identity is not None,
            "why_not": action.why_not,
            "called_again": _called_again(action, latest.get(name), actions),
        }
        for name, action in actions.items()
    ]


def _called_again(
    action: NodeAction, record: NodeRecord | None, actions: Mapping[str, NodeAction]
) -> str | None:
    """Why a node that has a key is called nevertheless, and what to write to change that."""
    if record is None or action.identity is None:
        return None
    if record.why_not and record.status == NodeState.RAN:
        return f"in every trial: {record.why_not}"
    read = {strip_transcoding(name) for other in actions.values() for name in other.node.inputs}
    outputs = zip(action.outputs.items(), record.outputs, strict=False)
    lazy = [n for (n, dataset), (d, size) in outputs if d and not size and dataset.files is None]
    for name in lazy:
        if strip_transcoding(name) not in read:
            continue
        why = f"if a node after it runs, because no bytes of '{name}' are kept. "
        if file_config(action.outputs[name].declared) is None:
            return why + "Declare it in the catalog as a dataset that lies in files, and it is kept"
        return why + "Its files are kept where the cache lies in a folder of yours (cache.root)"
    return None


def seconds_left_out(project: Project) -> dict[str, float]:
    """Seconds of the nodes that no trial runs, as far as the cache has them from plain runs."""
    catalog = catalog_of(project.session.load_context(project.runtime_params))
    try:
        plan = project.plan(catalog)
    except ConfigurationError:  # of what no trial runs
        return {}
    keys = {name: plan.actions[name].key() for name in project.left_out}
    records = {name: project.store.get(key) for name, key in keys.items() if key}
    return {
        name: float(record.meta.get("seconds", 0.0)) for name, record in records.items() if record
    }
