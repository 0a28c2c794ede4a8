"""``kedro eeipu``: the commands. They decide nothing; each room has one module of them."""

from __future__ import annotations

import click

from kedro_eeipu.cli.caching import cache, explain
from kedro_eeipu.cli.comparing import compare
from kedro_eeipu.cli.looking import report, viz
from kedro_eeipu.cli.tuning import apply, best, plan, trials, tune

__all__ = ["commands"]


@click.group(name="commands")
def commands() -> None:
    """Commands that the plugin adds to Kedro."""


@commands.group(name="eeipu")
def eeipu() -> None:
    """Tune the parameters of a whole pipeline, paying only for the nodes that change."""


for command in (plan, tune, trials, best, apply, compare, report, viz, explain, cache):
    eeipu.add_command(command)
