"""``kedro eeipu trials``: the trials of a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu._kedro import split_params
from kedro_eeipu.cli.common import (
    format_option,
    make_console,
    place_options,
    print_csv,
    print_json_lines,
    selecting,
    study_option,
)
from kedro_eeipu.cli.recorded import changes_since, recorded_study

if TYPE_CHECKING:
    from kedro_eeipu.project.selection import Selection
    from kedro_eeipu.study.records import TrialRecord

__all__ = ["listed_json", "trials"]

_ALONE = "\0"


def _params(context: click.Context, option: click.Parameter, value: str) -> dict[str, Any]:
    """``--params`` alone shows the parameters of the trials; with a value it gives some."""
    context.params["with_params"] = value == _ALONE
    return {} if value == _ALONE else dict(split_params(context, option, value) or {})


@click.command()
@place_options
@click.option(
    "--params",
    is_flag=False,
    flag_value=_ALONE,
    default="",
    callback=_params,
    metavar="[a.b=1,…]",
    help="Alone: show the parameters of the trials. With values: as for `kedro run`.",
)
@study_option
@format_option("csv")
@click.option(
    "--sort",
    default=None,
    metavar="NAME",
    help="value (best first), cost or saved (largest first), number, or a parameter.",
)
@click.option(
    "--top",
    type=click.IntRange(1),
    default=None,
    help="Show the first N (without --sort, the best).",
)
@selecting
def trials(
    selection: Selection, with_params: bool, sort: str | None, top: int | None, form: str
) -> None:
    """List the trials of a study.

    A trial from before an edit says what has changed since that its value depends on.
    """
    from kedro_eeipu.cli.params_table import csv_rows, in_order, print_parameters

    recorded = recorded_study(selection)
    every = recorded.trials
    since = dict(zip((t.number for t in every), changes_since(recorded, selection), strict=True))

    def former(trial: TrialRecord) -> bool:
        return bool(since[trial.number])

    ranked = in_order(every, "value", maximize=recorded.maximize, former=former)
    shown = every
    if sort or top:
        shown = in_order(every, sort or "value", maximize=recorded.maximize, former=former)[:top]
    changes = [since[t.number] for t in shown]
    if form == "csv":
        print_csv(csv_rows(shown))
    elif form == "json":
        print_json_lines(listed_json(every, shown, changes))
    elif with_params:
        first = ranked[0] if ranked and ranked[0].value is not None else None
        best = None if first is None or former(first) else first.number
        print_parameters(make_console(), shown, best=best, former=former)
    else:
        from kedro_eeipu.cli.tables import print_trials

        print_trials(make_console(), shown, changes)


def listed_json(
    every: Sequence[TrialRecord],
    shown: Sequence[TrialRecord],
    changes: Sequence[Sequence[str] | None],
) -> list[dict[str, object]]:
    """Trials in the contract of ``--format json``.

    Args:
        every: All trials of the study, which say why nodes ran.
        shown: Those to list.
        changes: What has changed since each of these.
    """
    from kedro_eeipu.study.explain import History, trial_json

    history = History(every)
    return [
        {**trial_json(history, t), "changed_since": None if c is None else list(c)}
        for t, c in zip(shown, changes, strict=True)
    ]
