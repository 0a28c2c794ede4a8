"""``kedro eeipu best``: the best trial of a study beside the defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import (
    complete_trial,
    confirm_command,
    load_project,
    make_console,
    open_recorded,
    print_json,
    study_query,
    verdict,
)

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

__all__ = ["best"]


@click.command()
@study_query
def best(metadata: ProjectMetadata, study: str | None, form: str, **options: Any) -> None:
    """Show the best trial of a study beside the defaults."""
    project = load_project(metadata, **options)
    opened = open_recorded(project, study)
    trial = complete_trial(opened, None)
    (trial,) = opened.confirmed([trial])
    if form == "json":
        from kedro_eeipu.study.explain import History, trial_json

        print_json(trial_json(History(opened.trials()), trial))
        return
    from kedro_eeipu.cli.tables import values_table

    click.echo(f"Trial {trial.number}: {project.space.objective} {trial.value:.6g}")
    make_console().print(values_table(project.space, trial))
    click.echo(verdict(trial, confirm_command(project, opened)))
