"""``report`` and ``viz``: looking at what a study recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import (
    chosen,
    load_project,
    open_recorded,
    project_options,
    reports_errors,
    study_option,
)
from kedro_eeipu.errors import ConfigurationError

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata


@click.command()
@project_options
@study_option
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="File to write (default: .eeipu/report.html in the project).",
)
@click.pass_obj
@reports_errors
def report(
    metadata: ProjectMetadata, study: str | None, output: Path | None, **options: Any
) -> None:
    """Write one HTML page about a study.

    Convergence against cost, what was reused, where the seconds went, which ranges matter.
    """
    from kedro_eeipu.report import report_html

    project = load_project(metadata, **options)
    opened = open_recorded(project, study)
    page = report_html(
        opened.trials(),
        project.stage_graph(),
        project.space,
        study=opened.name,
        maximize=opened.maximize,
    )
    target = output or project.home / "report.html"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write the report ({error})", where="--output") from None
    click.echo(str(target))


@click.command()
@project_options
@study_option
@click.option("--trial", "number", type=int, default=None, help="Trial (default: the best).")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option("--port", default=4141, show_default=True, type=int, help="Port to serve on.")
@click.pass_obj
@reports_errors
def viz(
    metadata: ProjectMetadata,
    study: str | None,
    number: int | None,
    host: str,
    port: int,
    **options: Any,
) -> None:
    """Serve Kedro-Viz with the intermediate datasets of a trial in it."""
    project = load_project(metadata, **options)
    opened = open_recorded(project, study)
    trial = chosen(opened, number)

    from kedro_eeipu.viz import create_app

    app = create_app(project, opened.trials(), trial.number)

    import uvicorn

    click.echo(f"Trial {trial.number} of study {opened.name}: http://{host}:{port}/ (Ctrl-C ends)")
    uvicorn.run(app, host=host, port=port, log_config=None)
