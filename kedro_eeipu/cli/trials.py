"""``kedro eeipu trials``: the trials of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import make_console, print_json_lines, study_query
from kedro_eeipu.cli.recorded import changes_since, recorded_study

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

__all__ = ["trials"]


@click.command()
@study_query
def trials(metadata: ProjectMetadata, study: str | None, form: str, **options: Any) -> None:
    """List the trials of a study.

    A trial from before an edit says what has changed since that its value depends on.
    """
    recorded = recorded_study(metadata, study, **options)
    records = recorded.trials
    changes = changes_since(recorded, metadata, **options)
    if form == "json":
        from kedro_eeipu.study.explain import History, trial_json

        history = History(records)
        print_json_lines(
            {**trial_json(history, t), "changed_since": None if c is None else list(c)}
            for t, c in zip(records, changes, strict=True)
        )
        return
    from kedro_eeipu.cli.tables import print_trials

    print_trials(make_console(), records, changes)
