"""``kedro eeipu best``: the best trial of a study beside the defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kedro_eeipu.cli.common import make_console, print_json, study_query
from kedro_eeipu.cli.recorded import (
    any_state_option,
    complete_trial,
    confirm_command,
    gain_over_defaults,
    verdict,
)

if TYPE_CHECKING:
    from kedro_eeipu.project.selection import Selection
    from kedro_eeipu.search import SearchSpace
    from kedro_eeipu.study.gain import Gain

__all__ = ["best"]


@click.command()
@any_state_option
@study_query
def best(selection: Selection, any_state: bool, form: str) -> tuple[Gain, SearchSpace, str]:
    """Show the best trial of a study beside the defaults.

    Trials from before an edit do not count.
    """
    project, opened = selection.load_study()
    trial = complete_trial(opened, None, any_state=any_state)
    changes = opened.changes(trial)
    (trial,) = opened.confirmed([trial])
    gain = gain_over_defaults(project, opened, trial)
    command = confirm_command(project, opened)
    shown = (gain, project.space, verdict(trial, command))
    if form == "json":
        from kedro_eeipu.study.explain import History, trial_json

        document = trial_json(History(opened.trials()), trial)
        print_json({**document, "changed_since": list(changes), "gain": gain.listed()})
        return shown
    from kedro_eeipu.cli.tables import values_table
    from kedro_eeipu.study.pipeline_state import in_few_words

    first, *others = gain.in_words(command)
    click.echo(first)
    if changes:
        click.echo(f"Changed since then: {in_few_words(changes)}")
    make_console().print(values_table(project.space, trial))
    for line in (*others, shown[-1]):
        click.echo(line)
    return shown
