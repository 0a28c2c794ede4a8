"""``plan``, ``tune``, ``trials``, ``best`` and ``apply``."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import (
    chosen,
    format_option,
    load_project,
    make_console,
    open_recorded,
    open_settings,
    print_json,
    print_json_lines,
    project_options,
    recorded_trials,
    reports_errors,
    study_name,
    study_option,
    warn,
)
from kedro_eeipu.errors import ConfigurationError, EEIPUError

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

    from kedro_eeipu.study.explain import History
    from kedro_eeipu.study.records import TrialRecord

SAMPLER_NAMES = ("eeipu", "random", "tpe", "gp")


@click.command()
@project_options
@format_option
@click.pass_obj
@reports_errors
def plan(metadata: ProjectMetadata, form: str, **options: Any) -> None:
    """Show the stages, and what can be reused.

    Which range reaches which node, which nodes run again together, and which are never cached.
    """
    project = load_project(metadata, **options)
    graph = project.stage_graph()
    from kedro_eeipu.search.stages import touches

    actions = project.dry_plan().actions
    nodes = [
        {
            "name": name,
            "stage": graph[graph.stage_of(name)].id,
            "parameters": [p for p in project.space.paths if touches(action.node, p)],
            "cacheable": action.identity is not None,
            "why_not": action.why_not,
        }
        for name, action in actions.items()
    ]
    if form == "json":
        stages = [
            {"id": s.id, "nodes": list(s.nodes), "parameters": list(s.parameters)} for s in graph
        ]
        print_json({"stages": stages, "nodes": nodes})
        return
    from kedro_eeipu.cli.progress import plan_tables

    warn(project.warnings)
    for table in plan_tables(graph, nodes):
        make_console().print(table)


@click.command()
@project_options
@study_option
@click.option("--trials", type=int, default=None, help="Number of trials, earlier ones included.")
@click.option(
    "--budget",
    default=None,
    help="Node time: seconds, or 30min, 2h; the last trial may overrun.",
)
@click.option(
    "--stop",
    type=click.Choice(["auto"]),
    default=None,
    help="Stop, too, when another trial is not worth its cost any more.",
)
@click.option("--sampler", type=click.Choice(SAMPLER_NAMES), default="eeipu", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the sampler.")
@click.option("--runner", "-r", default="SequentialRunner", show_default=True, help="Kedro runner.")
@click.option("--workers", type=click.IntRange(1), default=None, help="Trials at a time.")
@click.option("--scheduler", default=None, help="Run trials on this Dask cluster: tcp://host:8786")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.pass_obj
@reports_errors
def tune(
    metadata: ProjectMetadata,
    study: str | None,
    trials: int | None,
    budget: str | None,
    stop: str | None,
    sampler: str,
    seed: int,
    runner: str,
    workers: int | None,
    scheduler: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Run trials until the budget is used.

    Stop it any time: the same command goes on. Trials write to the cache only.
    """
    from kedro_eeipu.cli.progress import LiveView, PlainView, outcome
    from kedro_eeipu.search.block import parse_budget, parse_trials
    from kedro_eeipu.study.driver import check_name
    from kedro_eeipu.study.limits import Limits
    from kedro_eeipu.study.storage import open_study
    from kedro_eeipu.tuning.runner import EEIPURunner

    given = trials is not None or budget is not None
    asked = (parse_trials(trials), parse_budget(budget))
    project = load_project(metadata, **options)
    name = study_name(study, project.pipeline_name)
    check_name(project.storage, name)
    space = project.space
    numbers = asked if given else (space.trials, space.budget)
    limits = Limits(*numbers, auto=stop == "auto")
    warn(project.warnings)
    console = make_console(quiet=quiet)
    if quiet:
        logging.disable(logging.WARNING)
    view = (LiveView if console.is_terminal and not quiet else PlainView)(console, limits)
    opened = open_study(project.storage, name, space, create=True)
    make: Any = EEIPURunner
    if workers is not None or scheduler is not None:
        from kedro_eeipu.tuning.cluster import ClusterRunner, opener

        cluster = opener(workers, scheduler, project.settings.cluster.resources)
        make = partial(ClusterRunner, open_cluster=cluster)
    tuner = make(
        project,
        opened,
        limits,
        sampler=sampler,
        seed=seed,
        runner=kedro_runner(runner),
        listener=view,
    )
    changes = tuner.changes()
    if changes:
        what = f"since the last trial there has changed: {', '.join(changes)}"
        warn([f"{what}. Earlier values may not compare; --study NAME starts anew."])
    interrupt_on_sigterm()
    try:
        with view if isinstance(view, LiveView) else nullcontext():
            result = tuner.run()
    except KeyboardInterrupt:
        click.echo("\nStopped. All finished nodes are kept; the same command goes on.", err=True)
        sys.exit(1)
    outcome(console, result, space)
    if result.best is not None and not quiet:
        click.echo("`kedro eeipu apply --best` adopts the best values, `report` shows the study.")


@click.command()
@project_options
@study_option
@format_option
@click.pass_obj
@reports_errors
def trials(metadata: ProjectMetadata, study: str | None, form: str, **options: Any) -> None:
    """List the trials of a study."""
    found = recorded_trials(metadata, study, **options)
    if form == "json":
        from kedro_eeipu.study.explain import History

        history = History(found)
        print_json_lines(trial_json(history, t) for t in found)
        return
    from kedro_eeipu.cli.tables import print_trials

    print_trials(make_console(), found)


@click.command()
@project_options
@study_option
@format_option
@click.pass_obj
@reports_errors
def best(metadata: ProjectMetadata, study: str | None, form: str, **options: Any) -> None:
    """Show the best trial of a study beside the defaults."""
    project = load_project(metadata, **options)
    opened = open_recorded(project, study)
    trial = chosen(opened, None)
    if form == "json":
        from kedro_eeipu.study.explain import History

        print_json(trial_json(History(opened.trials()), trial))
        return
    from kedro_eeipu.cli.progress import values_table

    click.echo(f"Trial {trial.number}: {project.space.objective} {trial.value:.6g}")
    make_console().print(values_table(project.space, trial))


@click.command()
@study_option
@click.option("--best", "use_best", is_flag=True, help="Apply the best trial.")
@click.option("--trial", "number", type=int, default=None, help="Apply this trial.")
@click.option(
    "--env", "-e", default=None, help="Write into this configuration environment, unasked."
)
@click.option(
    "--tuned-env",
    default=None,
    help="Environment that `tune` was given, if that says where the study is.",
)
@click.option("--pipeline", "-p", default="__default__", help="Registered pipeline.")
@click.option("--conf-source", default=None, help="Path of the configuration folder.")
@click.pass_obj
@reports_errors
def apply(
    metadata: ProjectMetadata,
    study: str | None,
    use_best: bool,
    number: int | None,
    env: str | None,
    tuned_env: str | None,
    pipeline: str,
    conf_source: str | None,
) -> None:
    """Adopt a trial: its values and its outputs.

    Writes the values into a configuration environment and saves the outputs, from the cache, where
    the catalog declares them. Nothing is run.
    """
    from kedro_eeipu.config.loading import study_storage
    from kedro_eeipu.project.apply import (
        bring_outputs,
        differing,
        needs_params,
        overrides_yaml,
        write_overrides,
    )
    from kedro_eeipu.search.space import scalar_paths
    from kedro_eeipu.study.storage import open_study
    from kedro_eeipu.wording import scalar

    if use_best == (number is not None):
        raise ConfigurationError("say which trial", remedy="Pass either --best or --trial N.")
    storage = study_storage(*open_settings(metadata, tuned_env, {}, conf_source))
    opened = open_study(storage, study_name(study, pipeline))
    trial = chosen(opened, number)
    tuned_env = tuned_env or trial.env
    project = load_project(metadata, pipeline, tuned_env, dict(trial.runtime_params), conf_source)
    if env is None:
        click.echo(overrides_yaml(project, trial, opened.name))
        env = "local"
        if not click.confirm(f"Write this into conf/{env}, and its outputs into the catalog?"):
            return
    target = write_overrides(project, trial, opened.name, env)
    click.echo(f"Wrote {target.relative_to(project.path).as_posix()}")
    used = "kedro run" if pipeline == "__default__" else f"kedro run --pipeline {pipeline}"
    run_env = None if env in ("local", "base") else env
    used += "" if run_env is None else f" --env {run_env}"
    params = project.runtime_params if needs_params(project) else {}
    if params:
        given = ",".join(f"{path}={scalar(value)}" for path, value in scalar_paths(params))
        used += f" --params {shlex.quote(given)}"
        warn(["conf/ takes --params from the command line, so every run needs those of the trial"])
    click.echo(f"`{used}` uses it")
    others = differing(project, trial, run_env, params)
    if others:
        warn(
            [
                f"`{used}` has other values than trial {trial.number} had"
                + (f" in the environment {tuned_env}" if tuned_env else "")
                + f": {', '.join(others)}. Set them in conf/{env} if the result depends on them."
            ]
        )
    brought = bring_outputs(project, trial)
    for name in brought.saved:
        click.echo(f"Saved {name} from the cache")
    for name, reason in brought.missing.items():
        click.echo(f"Not saved: {name} ({reason}); `{used}` makes it", err=True)
    if brought.failed:
        reasons = [
            f"the dataset '{name}' of the catalog could not save the output of trial "
            f"{trial.number}: {reason}"
            for name, reason in brought.failed.items()
        ]
        written = ", ".join(["the values", *brought.saved])
        raise EEIPUError(
            "\n".join(reasons)
            + f"\nWritten are {written}. `{used}` fails there, too, until the node "
            "returns what can be saved, or the catalog declares another type."
        )


def trial_json(history: History, trial: TrialRecord) -> dict[str, Any]:
    """A trial in the contract of ``kedro eeipu trials --format json``."""
    return {
        "number": trial.number,
        "state": trial.state,
        "params": dict(trial.params),
        "value": trial.value,
        "cost_seconds": trial.cost,
        "saved_seconds": trial.saved,
        "error": trial.error,
        "nodes": [
            {
                "name": n.name,
                "status": n.status,
                "seconds": n.seconds,
                "reason": n.error or history.reason(trial.number, n),
                "key": n.key,
            }
            for n in trial.nodes
        ],
    }


def kedro_runner(name: str) -> Any:
    from kedro.utils import load_obj

    try:
        return load_obj(name, "kedro.runner")()
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"there is no runner '{name}' ({error})",
            where="--runner",
            remedy="Known: SequentialRunner, ThreadRunner, ParallelRunner, or a dotted path.",
        ) from None


def interrupt_on_sigterm() -> None:
    """Let a polite kill end the trial in hand as Ctrl-C does."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
