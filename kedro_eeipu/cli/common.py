"""What the commands share: options, errors, loading a project and opening its study."""

from __future__ import annotations

import functools
import json
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu._kedro import split_params
from kedro_eeipu.errors import ConfigurationError, EEIPUError
from kedro_eeipu.logs import logs_to_stderr

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext
    from kedro.framework.startup import ProjectMetadata
    from kedro.runner import AbstractRunner

    from kedro_eeipu.config.settings import Settings
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.study.storage import TrialStudy

__all__ = [
    "format_option",
    "interrupt_on_sigterm",
    "kedro_runner",
    "load_project",
    "make_console",
    "open_recorded",
    "open_settings",
    "print_json",
    "print_json_lines",
    "project_options",
    "reports_errors",
    "study_name",
    "study_option",
    "study_query",
    "warn",
    "write_page",
]

_UNCUT = 100_000


def reports_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Show a user's mistake as a message, with exit code 2 for configuration and 1 otherwise."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except EEIPUError as error:
            from kedro_eeipu.config.redaction import Redactor

            click.secho(f"Error: {Redactor().text(str(error))}", fg="red", err=True)
            sys.exit(2 if isinstance(error, ConfigurationError) else 1)

    return wrapper


def project_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say which pipeline of the project, and with which configuration."""
    for option in (
        click.option("--pipeline", "-p", default="__default__", help="Registered pipeline."),
        click.option("--env", "-e", default=None, help="Configuration environment."),
        click.option(
            "--params", default="", callback=split_params, help="Parameters, as for `kedro run`."
        ),
        click.option("--conf-source", default=None, help="Path of the configuration folder."),
    ):
        command = option(command)
    return command


study_option = click.option(
    "--study", default=None, help="Study (default: named after the pipeline)."
)
format_option = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="Output format."
)


def study_query(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every command that shows something of a study takes: which study, and which format.

    The command is given the project's metadata, `study`, `form` and the options of
    `load_project`.
    """
    query = click.pass_obj(reports_errors(command))
    return project_options(study_option(format_option(query)))


def load_project(
    metadata: ProjectMetadata, pipeline: str, env: str | None, params: Any, conf_source: str | None
) -> Project:
    """Load the project, with the options of the command.

    Raises:
        ConfigurationError: Something in its configuration is wrong.
    """
    from kedro_eeipu.project.project import Project

    logs_to_stderr()
    return Project.load(
        Path(metadata.project_path),
        env=env,
        pipeline_name=pipeline,
        runtime_params=params or {},
        conf_source=conf_source,
    )


def open_settings(
    metadata: ProjectMetadata, env: str | None, params: Any, conf_source: str | None
) -> tuple[KedroContext, Settings]:
    """The configuration of a project whose pipelines are not needed, and so are not imported."""
    from kedro.framework.session import KedroServiceSession

    from kedro_eeipu.config.loading import check_environment, load_settings
    from kedro_eeipu.project.parameters import open_context

    logs_to_stderr()
    session = KedroServiceSession.create(
        project_path=metadata.project_path, env=env, conf_source=conf_source
    )
    context = open_context(session, params)
    check_environment(context)
    return context, load_settings(context)


def open_recorded(project: Project, study: str | None) -> TrialStudy:
    """Open a study that has been recorded.

    Raises:
        ConfigurationError: There is none.
    """
    from kedro_eeipu.study.storage import open_study

    return open_study(project.storage, study_name(study, project.pipeline_name))


def study_name(study: str | None, pipeline: str) -> str:
    """The study that an option names, else the one named after the pipeline."""
    if study is not None:
        return study
    return "default" if pipeline == "__default__" else pipeline


def kedro_runner(name: str) -> AbstractRunner:
    """A runner of Kedro's by its name, or one of the project's by its dotted path.

    Raises:
        ConfigurationError: There is none.
    """
    from kedro.utils import load_obj

    try:
        runner: AbstractRunner = load_obj(name, "kedro.runner")()
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"there is no runner '{name}' ({error})",
            where="--runner",
            remedy="Known: SequentialRunner, ThreadRunner, ParallelRunner, or a dotted path.",
        ) from None
    return runner


def interrupt_on_sigterm() -> None:
    """Let a polite kill end the running trial as Ctrl-C does."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def make_console(quiet: bool = False) -> Any:
    """Where tables go: cut at the width of a terminal, and whole into a pipe or a file."""
    from rich.console import Console

    console = Console(quiet=quiet)
    if not console.is_terminal and not console.is_jupyter:
        console.width = _UNCUT
    return console


def warn(warnings: Sequence[str]) -> None:
    """Print warnings to stderr."""
    for warning in warnings:
        click.secho(f"Warning: {warning}", fg="yellow", err=True)


def print_json(document: Any) -> None:
    """Print one document to stdout."""
    click.echo(json.dumps(document, indent=2))


def print_json_lines(entries: Iterable[Any]) -> None:
    """One document, a list with an entry a line: for long ones, where indenting takes seconds."""
    click.echo("[" + ",\n ".join(map(json.dumps, entries)) + "]")


def write_page(page: str, target: Path, name: str) -> None:
    """Write an HTML page.

    Raises:
        ConfigurationError: It cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {name} ({error})", where="--output") from None
