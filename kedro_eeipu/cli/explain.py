"""``kedro eeipu explain``: why each node of a trial ran or was reused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import (
    load_project,
    make_console,
    open_recorded,
    print_json,
    study_query,
)
from kedro_eeipu.errors import ConfigurationError

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

__all__ = ["explain"]


@click.command()
@click.option("--trial", "number", type=int, required=True, help="The trial to explain.")
@click.option("--node", default=None, help="Explain this node only.")
@study_query
def explain(
    metadata: ProjectMetadata,
    number: int,
    node: str | None,
    study: str | None,
    form: str,
    **options: Any,
) -> None:
    """Say why each node of a trial ran or was reused.

    Against the nearest earlier trial: which parameter, input, function or library differed.
    """
    from kedro_eeipu.study.explain import explanation

    project = load_project(metadata, **options)

    def code_of(key: str) -> dict[str, str]:
        record = project.store.get(key)
        return {} if record is None else dict(record.meta.get("code", {}))

    # What was recorded by an earlier version may hold secrets.
    nodes = project.redactor.value(explanation(open_recorded(project, study), number, code_of))
    if node is not None:
        nodes = [n for n in nodes if n["name"] == node]
        if not nodes:
            raise ConfigurationError(f"trial {number} has no node '{node}'", where="--node")
    if form == "json":
        print_json(nodes)
        return
    from kedro_eeipu.cli.tables import explanation_table

    make_console().print(explanation_table(number, nodes))
