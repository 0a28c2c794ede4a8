"""``kedro eeipu init``: writes a first ``eeipu`` block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kedro_eeipu.cli.common import project_options, selecting, warn

if TYPE_CHECKING:
    from kedro_eeipu.project.selection import Selection

__all__ = ["init"]


@click.command()
@project_options
@selecting
def init(selection: Selection) -> None:
    """Write a first `eeipu` block.

    Guesses the objective and the ranges, and writes them to their own parameters file. A block
    that is there already is left as it is.
    """
    from kedro_eeipu.project.proposal import propose_block

    proposed = propose_block(
        selection.path,
        env=selection.env,
        pipeline_name=selection.pipeline,
        runtime_params=selection.params,
        conf_source=selection.conf_source,
    )
    proposed.write(selection.path)
    click.echo(f"Wrote {proposed.file}:\n\n{proposed.text}\n")
    warn(proposed.hints)
    click.echo(
        f"It is a guess: check the objective and the ranges, then `kedro eeipu plan"
        f"{proposed.options}`."
    )
