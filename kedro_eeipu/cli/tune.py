"""``kedro eeipu tune``: runs trials until the budget is used."""

from __future__ import annotations

import logging
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from kedro_eeipu.cli.common import (
    interrupt_on_signals,
    make_console,
    project_options,
    selecting,
    study_option,
    warn,
)
from kedro_eeipu.cli.recorded import apply_command, confirm_command, trials_command
from kedro_eeipu.errors import StudyStopped
from kedro_eeipu.search.paths import key_chains, value_at
from kedro_eeipu.study.sampler_names import EEIPU, SAMPLERS
from kedro_eeipu.wording import counted, scalar

if TYPE_CHECKING:
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.project.selection import Selection
    from kedro_eeipu.study.records import TrialRecord
    from kedro_eeipu.study.storage import TrialStudy

__all__ = ["tune"]


@click.command()
@project_options
@study_option
@click.option(
    "--trials",
    type=int,
    default=None,
    help="Number of trials; earlier ones of today's pipeline count.",
)
@click.option(
    "--budget",
    default=None,
    help="Node time: seconds, or 30min, 2h; the last trial may overrun.",
)
@click.option(
    "--stop",
    type=click.Choice(["auto"]),
    default=None,
    help="Also stop when another trial is not worth its cost.",
)
@click.option(
    "--try",
    "own",
    multiple=True,
    metavar="FILE|a.b=1,…",
    help="Try these values first, whatever the limits; repeatable.",
)
@click.option(
    "--from",
    "former",
    multiple=True,
    metavar="STUDY",
    help="Learn from this earlier study, too; FILE:STUDY of another file; repeatable.",
)
@click.option("--sampler", type=click.Choice(SAMPLERS), default=EEIPU, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the sampler.")
@click.option("--runner", "-r", default="SequentialRunner", show_default=True, help="Kedro runner.")
@click.option("--workers", type=click.IntRange(1), default=None, help="Trials at a time.")
@click.option("--scheduler", default=None, help="Run trials on this Dask cluster: tcp://host:8786")
@click.option("--quiet", "-q", is_flag=True, help="Print errors only.")
@selecting
def tune(
    selection: Selection,
    trials: int | None,
    budget: str | None,
    stop: str | None,
    own: tuple[str, ...],
    former: tuple[str, ...],
    sampler: str,
    seed: int,
    runner: str,
    workers: int | None,
    scheduler: str | None,
    quiet: bool,
) -> None:
    """Run trials until the budget is used.

    Stop it any time: the same command resumes. Trials write to the cache only.
    """
    from kedro_eeipu.cli.confirm import confirm_best
    from kedro_eeipu.cli.progress import LiveView, PlainView
    from kedro_eeipu.cli.tables import print_outcome
    from kedro_eeipu.tuning.holdout import measure_holdout, unmeasured
    from kedro_eeipu.tuning.options import TuneOptions

    began, used = time.perf_counter(), time.process_time()
    project = selection.load_project()
    starting = time.process_time()  # about what a fresh process takes to get here
    # With other work on the machine, it waits for so many seconds a second.
    waiting = (time.perf_counter() - began) / max(starting - used, 0.01)
    space = project.space
    options = TuneOptions(
        trials, budget, stop == "auto", own, former, sampler, seed, runner, workers, scheduler
    )
    console = make_console(quiet=quiet)
    make_view = LiveView if console.is_terminal and not quiet else PlainView
    tuner = options.prepare(
        project,
        selection.study_name,
        lambda limits: make_view(console, limits),
        starting * max(1.0, waiting),
    )
    opened, view, limits = tuner.study, tuner.listener, tuner.limits
    warn(project.warnings)
    if quiet:
        logging.disable(logging.WARNING)
    if opened.trials():
        opened.compare_with(project.state)
        warn([*_edits(opened, project.pipeline_name), *_given_defaults(project, opened)])
    earlier = tuner.proposer.earlier
    warn([_lost(name) for name in earlier.lost])
    if not quiet and sampler == EEIPU and (informed := earlier.sentence()):
        click.echo(f"{informed}.")
    tuner.interrupted = interrupt_on_signals()
    before = len(opened.current())
    try:
        with view if isinstance(view, LiveView) else nullcontext():
            result = tuner.run()
    except KeyboardInterrupt:
        click.echo("\nStopped. All finished nodes are kept; the same command resumes.", err=True)
        sys.exit(1)
    print_outcome(console, result, space)
    if len(result.trials) == before and (more := limits.raised(result.trials)) and not quiet:
        click.echo(more)
    if result.best is None:
        raise _none_complete(project, opened, result.trials)
    measured = unmeasured(project, opened, result.best, again=len(result.trials) > before)
    try:
        if measured and not quiet:
            tried = " and ".join(str(t.number) for t in measured)
            click.echo(f"Held out {space.holdout} is measured for trial {tried}.")
        measure_holdout(project, opened, measured, tuner.runner)
        confirm_best(project, opened, result.best, starting=starting, quiet=quiet)
    except KeyboardInterrupt:
        click.echo(f"\nStopped. `{confirm_command(project, opened)}` confirms the best.", err=True)
        sys.exit(1)
    if not quiet:
        adopt = apply_command(project, opened)
        click.echo(f"`{adopt}` adopts the best values, `report` shows the study.")


def _none_complete(
    project: Project, study: TrialStudy, trials: Sequence[TrialRecord]
) -> StudyStopped:
    """What to say where no trial has a value, quiet or not."""
    last = next((t.error for t in reversed(trials) if t.state == "failed"), None)
    return StudyStopped(
        f"no trial of study '{study.name}' has completed."
        + (f" The last error: {last}" if last else "")
        + f"\n`{trials_command(project, study)}` lists them."
    )


def _lost(name: str) -> str:
    return f"study {name}, from which this one was begun, is not there any more"


def _given_defaults(project: Project, study: TrialStudy) -> Iterator[str]:
    """Which ``--params`` are tuned and no trial has: a resumed study does not begin with them."""
    trials = study.current()
    for r in project.space:
        for chain in key_chains(project.runtime_params, r.path):
            value = value_at(project.runtime_params, chain)
            if r.contains(value) and not any(t.params.get(r.path) == value for t in trials):
                yield (
                    f"`{r.path}` is tuned, so --params only changes its default. "
                    f"To try it: `--try {r.path}={scalar(value)}`"
                )


def _edits(study: TrialStudy, pipeline: str) -> Iterator[str]:
    """What has changed since the last trial, and what that means for the study."""
    from kedro_eeipu.study.pipeline_state import in_few_words

    trials, current, former = study.trials(), study.current(), study.former()
    unknown = sum(not t.pipeline_state for t in current)
    if unknown and not study.states.all():
        yield (
            f"{counted(unknown, 'trial')} of the study {'do' if unknown > 1 else 'does'} not say "
            "what code and data they had. They count as trials of today's pipeline."
        )
    if not former or former[-1].number != trials[-1].number:
        return
    best = study.best_of(former)
    first = "today's defaults" + ("" if best is None else f" and the values of trial {best.number}")
    others = len(trials) - len(current)
    yield (
        f"since trial {former[-1].number} these have changed: "
        f"{in_few_words(study.changes(former[-1]))}. {counted(others, 'trial')} from before no "
        "longer count: --trials, --budget and the best value look at today's pipeline only. "
        f"Tried first: {first}. Unchanged nodes come from the cache."
    )
    other = former[-1].pipeline
    if other and other != pipeline:
        yield (
            f"trial {former[-1].number} is of pipeline '{other}', and this call tunes "
            f"'{pipeline}'. Pass --pipeline {shlex.quote(other)}, or keep them apart with "
            "--study NAME."
        )
