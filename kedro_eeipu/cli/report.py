"""``kedro eeipu report``: one HTML page about a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kedro_eeipu.cli.common import project_options, selecting, study_option, write_page

if TYPE_CHECKING:
    from kedro_eeipu.project.selection import Selection

__all__ = ["report"]


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
@selecting
def report(selection: Selection, output: Path | None) -> Path:
    """Write one HTML page about a study.

    Convergence against cost, what was reused, where the seconds went, which ranges matter.
    """
    from kedro_eeipu.viz.live_report import report_of

    project, opened = selection.load_study()
    page = report_of(project, opened)
    target = output or project.home / "report.html"
    write_page(page, target, "the report")
    click.echo(str(target))
    return target
