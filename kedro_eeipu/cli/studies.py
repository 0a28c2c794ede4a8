"""``kedro eeipu studies``: what is recorded, study by study."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kedro_eeipu.cli.common import (
    as_csv,
    format_option,
    make_console,
    place_options,
    print_json,
    project_options,
    selecting,
    study_option,
    write_page,
)
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.wording import counted, did_you_mean

if TYPE_CHECKING:
    from kedro_eeipu.project.selection import Selection

__all__ = ["studies"]


@click.group()
def studies() -> None:
    """List, export and delete studies."""


@studies.command()
@place_options
@format_option()
@selecting
def ls(selection: Selection, form: str) -> None:
    """List the studies of the project.

    Their trials, best values, node time, and when the last trial ended.
    """
    from kedro_eeipu.study.shelf import read_any_study, study_names, summary

    storage = _storage(selection)
    summaries = [summary(n, read_any_study(storage, n)) for n in study_names(storage)]
    if form == "json":
        print_json([asdict(entry) for entry in summaries])
        return
    if not summaries:
        click.echo("There is no study yet: `kedro eeipu tune` starts one.")
        return
    from kedro_eeipu.cli.tables import studies_table

    make_console().print(studies_table(summaries, time.time()))


@studies.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@place_options
@selecting
def rm(selection: Selection, names: tuple[str, ...], yes: bool) -> None:
    """Delete studies with their trials.

    What their trials have computed stays in the cache.
    """
    from kedro_eeipu.study.shelf import delete_study, read_any_study, study_names

    storage = _storage(selection)
    there = study_names(storage)
    for name in names:
        if name not in there:
            listed = f"There is: {', '.join(there)}." if there else "There is none."
            hint = did_you_mean(name, there)
            raise ConfigurationError(
                f"there is no study '{name}'", remedy=" ".join(filter(None, (hint, listed)))
            )
    for name in dict.fromkeys(names):
        held = counted(len(read_any_study(storage, name).trials), "trial")
        if not yes and not click.confirm(f"Delete study '{name}' with {held}?"):
            continue
        delete_study(storage, name)
        click.echo(f"Deleted study '{name}' with {held}. The cache is as it was.")


@studies.command()
@click.argument("name", required=False)
@click.option(
    "--format", "form", type=click.Choice(["csv", "json"]), default=None, help="Default: csv."
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="File to write (default: print it); its suffix sets the format.",
)
@project_options
@study_option
@selecting
def export(selection: Selection, name: str | None, form: str | None, output: Path | None) -> None:
    """Write all trials of a study as CSV or JSON.

    As `trials` lists them, with parameters; the JSON has every node of every trial.
    """
    from dataclasses import replace

    from kedro_eeipu.cli.params_table import csv_rows
    from kedro_eeipu.cli.recorded import changes_since, recorded_study
    from kedro_eeipu.cli.trials import listed_json

    if name is not None:
        if selection.study not in (None, name):
            raise ConfigurationError("two studies are named", where="--study")
        selection = replace(selection, study=name)
    if form is None:
        form = "json" if output is not None and output.suffix == ".json" else "csv"
    recorded = recorded_study(selection)
    trials = recorded.trials
    if form == "csv":
        text = as_csv(csv_rows(trials))
    else:
        entries = listed_json(trials, trials, changes_since(recorded, selection))
        text = "[" + ",\n ".join(map(json.dumps, entries)) + "]\n"
    if output is None:
        click.echo(text, nl=False)
        return
    write_page(text, output, "the trials")
    click.echo(f"Wrote {counted(len(trials), 'trial')} into {output}")


def _storage(selection: Selection) -> str:
    from kedro_eeipu.config.opening import study_storage

    return study_storage(*selection.open_settings())
