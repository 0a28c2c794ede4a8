"""``kedro eeipu compare``: samplers against each other on the user's own pipeline."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import (
    format_option,
    interrupt_on_signals,
    make_console,
    print_json,
    project_options,
    selecting,
    warn,
    write_page,
)
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.wording import counted

if TYPE_CHECKING:
    from kedro_eeipu.comparison import Comparison
    from kedro_eeipu.comparison.contest import Contestant
    from kedro_eeipu.project.selection import Selection

__all__ = ["compare", "parsed_budget", "parsed_seeds"]


@click.command()
@project_options
@click.option(
    "--samplers",
    default="eeipu,random,tpe,gp",
    show_default=True,
    help="Any of eeipu, random, tpe, gp, logei, carbo, smac, ax.",
)
@click.option(
    "--budget",
    default=None,
    help="Node time of each sampler after the warm-up: 10min, or `12 trials` for the time of as "
    "many trials that reuse nothing.",
)
@click.option(
    "--seeds",
    default="3",
    show_default=True,
    help="How many, from seed 0 on, or the first and the last: 100-119.",
)
@click.option("--no-cache-for", default="", help="Samplers that pay for every node in every trial.")
@click.option(
    "--from-scratch",
    is_flag=True,
    help="No common warm-up: each sampler begins with the project's own values, then as it does by "
    "itself. The budget counts from the first trial.",
)
@click.option("--measure", is_flag=True, help="Let each sampler run all its nodes itself.")
@click.option(
    "--clock",
    type=click.Choice(["wall", "cpu"]),
    default="wall",
    show_default=True,
    help="What a node costs: wall time, or cpu time on a busy machine.",
)
@click.option("--runner", "-r", default="SequentialRunner", show_default=True, help="Kedro runner.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="The page to write.",
)
@format_option()
@selecting
def compare(
    selection: Selection,
    samplers: str,
    budget: str | None,
    seeds: str,
    no_cache_for: str,
    from_scratch: bool,
    measure: bool,
    clock: str,
    runner: str,
    output: Path | None,
    form: str,
) -> None:
    """Compare samplers on this pipeline.

    All start from the same warm-up, unless --from-scratch. Each has its own study and cost account.
    Each node execution is measured once, unless --measure. Stop it any time: the same command
    resumes.
    """
    from kedro_eeipu.comparison import Comparison, as_json
    from kedro_eeipu.comparison.page import comparison_html
    from kedro_eeipu.comparison.table import TESTED, terminal_tables, verdict
    from kedro_eeipu.tuning.options import kedro_runner

    given, wanted = parsed_budget(budget), parsed_seeds(seeds)
    project = selection.load_project()
    amount, in_trials = given or (project.space.budget, False)
    if amount is None:
        raise ConfigurationError("nothing says how much time each sampler has", where="--budget")
    warn(project.warnings)
    comparison = Comparison(
        project,
        _names(samplers),
        wanted,
        amount,
        in_trials=in_trials,
        uncached=_names(no_cache_for),
        measure=measure,
        from_scratch=from_scratch,
        clock=clock,
        runner=kedro_runner(runner),
    )
    interrupt_on_signals()
    try:
        runs = _followed(comparison)
    except KeyboardInterrupt:
        click.echo("\nStopped. All finished trials are kept; the same command resumes.", err=True)
        sys.exit(1)
    document = as_json(runs, comparison.about())
    target = output or comparison.home / "compare.html"
    write_page(comparison_html(document), target, "the page")
    if form == "json":
        print_json(document)
        return
    console = make_console()
    for table in terminal_tables(document):
        console.print(table)
        console.print()
    tested = TESTED if document["against"] else ""
    for line in filter(None, (verdict(document), tested, document["costs"], str(target))):
        click.echo(line)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def parsed_budget(text: str | None) -> tuple[float, bool] | None:
    """The budget, and whether it is stated in trials."""
    from kedro_eeipu.search.block import parse_budget

    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*trials?\s*", text or "")
    if match and float(match[1]) > 0:
        return float(match[1]), True
    seconds = parse_budget(text)
    return None if seconds is None else (seconds, False)


def parsed_seeds(text: str) -> range:
    """The seeds: so many from 0 on, or from the first to the last.

    Raises:
        ConfigurationError: It is neither.
    """
    match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", text, re.ASCII)
    seeds = range(0)
    if match and match[2] is None:
        seeds = range(int(match[1]))
    elif match:
        seeds = range(int(match[1]), int(match[2]) + 1)
    if not seeds:
        raise ConfigurationError(
            f"'{text}' names no seeds",
            where="--seeds",
            remedy="Write how many, such as 3 for the seeds 0 to 2, or a range, such as 100-119.",
        )
    return seeds


def _followed(comparison: Comparison) -> Any:
    """Run a comparison with a line on the terminal that tells where it stands."""
    from rich.console import Console

    console = Console(stderr=True)
    status = console.status("The samplers begin")

    def show(contestant: Contestant) -> None:
        best = contestant.study.best()
        value = "-" if best is None else f"{best.value:.6g}"
        line = (
            f"seed {contestant.entry.seed}, {contestant.entry.sampler}: "
            f"{counted(len(contestant.trials()), 'trial')}, best {value}, "
            f"{max(0.0, contestant.left()):.0%} of the budget left"
        )
        status.update(line)
        if not console.is_terminal and contestant.over():
            console.print(line, highlight=False)

    comparison.after_trial = show
    with status:
        return comparison.run()
