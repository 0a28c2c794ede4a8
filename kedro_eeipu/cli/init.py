"""``kedro eeipu init``: writes a first ``eeipu`` block."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import project_options, reports_errors, warn
from kedro_eeipu.logs import logs_to_stderr

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

__all__ = ["init"]


@click.command()
@project_options
@click.pass_obj
@reports_errors
def init(
    metadata: ProjectMetadata,
    pipeline: str,
    env: str | None,
    params: Any,
    conf_source: str | None,
) -> None:
    """Write a first `eeipu` block.

    Guesses the objective and the ranges, and writes them to a parameters file of their own. A block
    that is there already is left as it is.
    """
    from kedro_eeipu.project.proposal import propose_block

    logs_to_stderr()
    root = Path(metadata.project_path)
    proposed = propose_block(
        root,
        env=env,
        pipeline_name=pipeline,
        runtime_params=params or {},
        conf_source=conf_source,
    )
    proposed.write(root)
    click.echo(f"Wrote {proposed.file}:\n\n{proposed.text}\n")
    warn(proposed.hints)
    click.echo(
        f"It is a guess: check the objective and the ranges, then `kedro eeipu plan"
        f"{proposed.options}`."
    )
