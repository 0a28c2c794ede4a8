"""``kedro eeipu confirm``: a trial once more, without the cache, in a fresh process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from kedro_eeipu.cli.common import interrupt_on_signals, print_json, study_query, warn
from kedro_eeipu.cli.recorded import (
    confirm_command,
    gain_over_defaults,
    load_adopted,
    verdict,
)
from kedro_eeipu.errors import EEIPUError
from kedro_eeipu.wording import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kedro_eeipu.project.project import Project
    from kedro_eeipu.project.selection import Selection
    from kedro_eeipu.study.confirmation import Confirmation
    from kedro_eeipu.study.records import TrialRecord
    from kedro_eeipu.study.storage import TrialStudy

__all__ = ["confirm", "confirm_best"]


@click.command()
@click.option("--trial", "number", type=int, default=None, help="Trial (default: the best).")
@click.option("--whole", is_flag=True, help="Also run the nodes that trials leave out.")
@study_query
def confirm(selection: Selection, number: int | None, whole: bool, form: str) -> None:
    """Run a trial once more without the cache.

    It runs in a fresh process, and its outputs go to a private folder. It is confirmed if the
    objective is the same; exit code 1 says that it is not.
    """
    from kedro_eeipu.tuning.confirming import confirm, expected_seconds
    from kedro_eeipu.tuning.holdout import measure_holdout, unmeasured

    project, opened, trial = load_adopted(selection, number)
    interrupt_on_signals()
    about = duration(expected_seconds(trial))
    click.echo(f"Trial {trial.number} runs once more, its nodes took {about}.", err=True)
    try:
        result = confirm(project, opened, trial, whole=whole)
        measure_holdout(project, opened, unmeasured(project, opened, trial, again=True))
    except KeyboardInterrupt:
        click.echo("\nStopped. Nothing is lost.", err=True)
        sys.exit(1)
    if form == "json":
        document = {"trial": trial.number, **result.listed()}
        if project.space.holdout is not None:
            document["gain"] = gain_over_defaults(project, opened, trial).listed()
        print_json(document)
    else:
        click.echo(f"Trial {trial.number} is {result.words}.")
        for line in _details(result):
            click.echo(line)
        for line in gain_over_defaults(project, opened, trial).in_words():
            click.echo(line)
    if not result.confirmed:
        sys.exit(1)


def confirm_best(
    project: Project, study: TrialStudy, best: TrialRecord, *, starting: float, quiet: bool
) -> None:
    """Confirm the best trial at the end of a study, where that is cheap, and say what was gained.

    Args:
        project: The project.
        study: The study.
        best: Its best trial.
        starting: Seconds that it takes to start a process and load the project.
        quiet: Whether only what is wrong is printed.

    Raises:
        KeyboardInterrupt: Stopped by the user; the trial is not confirmed yet.
    """
    from kedro_eeipu.tuning.confirming import confirm, is_cheap

    (best,) = study.confirmed([best])
    command = confirm_command(project, study)
    if best.confirmation is None and is_cheap(study.trials(), best, starting):
        if not quiet:
            click.echo(f"Trial {best.number} runs once more, without the cache.")
        try:
            confirm(project, study, best)
        except EEIPUError as error:
            warn([f"trial {best.number} could not be confirmed: {error}"])
        (best,) = study.confirmed([best])
    result = best.confirmation
    if not quiet:
        for line in gain_over_defaults(project, study, best).in_words(command):
            click.echo(line)
    if result is not None and not result.confirmed:
        warn([verdict(best, command), *_details(result)])
    elif not quiet:
        click.echo(verdict(best, command))


def _details(result: Confirmation) -> Iterator[str]:
    """What else there is to say about a confirmation, in sentences."""
    if result.changed:
        yield f"Changed since the trial ran: {', '.join(result.changed)}."
    if result.in_memory:
        yield (
            f"No path, so passed on in memory instead of written: {', '.join(result.in_memory)}."
        )
    if result.confirmed and result.differing:
        yield (
            f"These nodes returned something else, which the objective does not show: "
            f"{', '.join(result.differing)}."
        )
