"""``kedro eeipu apply``: a trial's values into ``conf/``, its outputs into the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kedro_eeipu._kedro import split_params
from kedro_eeipu.cli.common import selecting, study_option, warn
from kedro_eeipu.cli.recorded import (
    any_state_option,
    confirm_command,
    gain_over_defaults,
    load_adopted,
    verdict,
)
from kedro_eeipu.errors import ConfigurationError

if TYPE_CHECKING:
    from kedro_eeipu.project.selection import Selection

__all__ = ["apply"]


@click.command()
@study_option
@click.option("--best", "use_best", is_flag=True, help="Apply the best trial.")
@click.option("--trial", "number", type=int, default=None, help="Apply this trial.")
@any_state_option
@click.option(
    "--env",
    "-e",
    "target",
    default=None,
    help="Environment to write to (skips the prompt).",
)
@click.option(
    "--tuned-env",
    "env",
    default=None,
    help="Environment that `tune` was given, if that says where the study is.",
)
@click.option(
    "--params",
    default="",
    callback=split_params,
    help="Secrets of the trial's own --params, which are not stored.",
)
@click.option("--pipeline", "-p", default="__default__", help="Registered pipeline.")
@click.option("--conf-source", default=None, help="Path of the configuration folder.")
@selecting
def apply(
    selection: Selection,
    use_best: bool,
    number: int | None,
    any_state: bool,
    target: str | None,
) -> None:
    """Adopt a trial: its values and its outputs.

    Writes the values into a configuration environment and saves the outputs, from the cache, where
    the catalog declares them. Nothing is run.
    """
    from kedro_eeipu.project.apply import Adoption
    from kedro_eeipu.study.pipeline_state import in_few_words

    if use_best == (number is not None):
        raise ConfigurationError("say which trial", remedy="Pass either --best or --trial N.")
    project, opened, trial = load_adopted(
        selection, number, any_state=any_state, env_option="--tuned-env"
    )
    command = confirm_command(project, opened, trial.number if any_state else number)
    for line in gain_over_defaults(project, opened, trial).in_words(command):
        click.echo(line)
    message = verdict(trial, command)
    if trial.confirmation is not None and not trial.confirmation.confirmed:
        warn([message])
    else:
        click.echo(message)
    changes = opened.changes(trial)
    if changes:
        warn(
            [
                f"since trial {trial.number} these have changed: {in_few_words(changes)}. Its "
                "values are applied. Of its outputs, only those that today's pipeline would make "
                "are saved."
            ]
        )
    adoption = Adoption(project, trial, opened.name, "local" if target is None else target, changes)
    if target is None:
        click.echo(adoption.as_yaml())
        question = f"Write this into conf/{adoption.env}, and its outputs into the catalog?"
        if not click.confirm(question):
            return
    written = adoption.write_values()
    click.echo(f"Wrote {written.relative_to(project.path).as_posix()}")

    run = adoption.plain_run()
    if run.runtime_params:
        warn(["conf/ takes --params from the command line, so every run needs those of the trial"])
    click.echo(f"`{run.command}` uses it")
    differing = adoption.differing(run)
    if differing:
        had = f"trial {trial.number} had"
        if selection.env or trial.env:
            had += f" in the environment {selection.env or trial.env}"
        warn(
            [
                f"`{run.command}` has other values than {had}: {', '.join(differing)}. "
                f"Set them in conf/{adoption.env} if the result depends on them."
            ]
        )

    outputs = adoption.save_outputs()
    for name in outputs.saved:
        click.echo(f"Saved {name} from the cache")
    for name, partitions in outputs.beside.items():
        warn(
            [
                f"{name} also holds {_few(partitions)} from earlier runs, and `kedro run` reads "
                "all partitions. Delete them, or declare it with `overwrite: true`."
            ]
        )
    for name, reason in outputs.missing.items():
        click.echo(f"Not saved: {name} ({reason}); `{run.command}` makes it", err=True)
    unwritten, unconfirmed = adoption.left_to_plain_run(outputs)
    if unwritten:
        them = "it" if len(unwritten) == 1 else "them"
        click.echo(f"Trials left out {', '.join(unwritten)}; `{run.command}` makes {them}")
    if unconfirmed:
        datasets = f"dataset{'' if len(unconfirmed) == 1 else 's'} {', '.join(unconfirmed)}"
        click.echo(f"Trials do not confirm the {datasets}; `{run.command}` will")
    outputs.refuse_failed(trial, run)


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
