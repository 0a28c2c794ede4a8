"""``kedro eeipu``: one module a command. The commands decide nothing: they ask the other rooms."""

from __future__ import annotations

import click

# The modules, not the commands in them, which would hide modules of the same name.
from kedro_eeipu.cli import (
    apply,
    best,
    cache,
    compare,
    confirm,
    explain,
    init,
    plan,
    report,
    studies,
    trials,
    tune,
    viz,
)

__all__ = ["commands"]


@click.group(name="commands")
def commands() -> None:
    """Commands that the plugin adds to Kedro."""


@commands.group(name="eeipu")
def eeipu() -> None:
    """Tune the parameters of a whole pipeline, paying only for the nodes that change."""


for command in (
    init.init,
    plan.plan,
    tune.tune,
    trials.trials,
    best.best,
    confirm.confirm,
    apply.apply,
    compare.compare,
    report.report,
    viz.viz,
    studies.studies,
    explain.explain,
    cache.cache,
):
    eeipu.add_command(command)
