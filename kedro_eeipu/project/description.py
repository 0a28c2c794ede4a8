"""What ``kedro eeipu plan`` says of the nodes of a project."""

from __future__ import annotations

from typing import Any

from kedro_eeipu._kedro import catalog_of
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.project.project import Project
from kedro_eeipu.search.stages import touches

__all__ = ["node_plan", "seconds_left_out"]


def node_plan(project: Project) -> list[dict[str, Any]]:
    """What ``kedro eeipu plan --format json`` says of each node."""
    graph = project.stage_graph()
    return [
        {
            "name": name,
            "stage": graph[graph.stage_of(name)].id,
            "parameters": [
                p for p in project.space.paths if touches(action.node, p, project.parameters)
            ],
            "cacheable": action.identity is not None,
            "why_not": action.why_not,
        }
        for name, action in project.dry_plan().actions.items()
    ]


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
