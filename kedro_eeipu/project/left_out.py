"""What the nodes cost that no trial runs."""

from __future__ import annotations

from kedro_eeipu._kedro import catalog_of
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.project.project import Project

__all__ = ["seconds_left_out"]


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
