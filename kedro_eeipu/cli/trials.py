"""``kedro eeipu trials``: the trials of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import make_console, print_json_lines, recorded_trials, study_query

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

__all__ = ["trials"]


@click.command()
@study_query
def trials(metadata: ProjectMetadata, study: str | None, form: str, **options: Any) -> None:
    """List the trials of a study."""
    records = recorded_trials(metadata, study, **options)
    if form == "json":
        from kedro_eeipu.study.explain import History, trial_json

        history = History(records)
        print_json_lines(trial_json(history, t) for t in records)
        return
    from kedro_eeipu.cli.tables import print_trials

    print_trials(make_console(), records)
