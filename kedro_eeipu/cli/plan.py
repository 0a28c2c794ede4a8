"""``kedro eeipu plan``: which range reaches which node, and what can be reused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import (
    format_option,
    load_project,
    make_console,
    print_json,
    project_options,
    reports_errors,
    warn,
)

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

__all__ = ["plan"]


@click.command()
@project_options
@format_option
@click.pass_obj
@reports_errors
def plan(metadata: ProjectMetadata, form: str, **options: Any) -> None:
    """Show the stages, and what can be reused.

    Which range reaches which node, which nodes run again together, and which are never cached.
    Without an `eeipu` block it prints one to start with, as `init` would write it.
    """
    from kedro_eeipu.project.proposal import NoBlockError

    try:
        project = load_project(metadata, **options)
    except NoBlockError as error:
        if form == "json":
            raise
        click.echo(error.proposed.text)
        raise NoBlockError(error.proposed, printed=True) from None
    graph = project.stage_graph()
    nodes = project.node_plan()
    if form == "json":
        stages = [
            {"id": s.id, "nodes": list(s.nodes), "parameters": list(s.parameters)} for s in graph
        ]
        print_json({"stages": stages, "nodes": nodes})
        return
    from kedro_eeipu.cli.tables import plan_tables

    warn(project.warnings)
    for table in plan_tables(graph, nodes):
        make_console().print(table)
