"""What the commands share: options, errors, loading a project and opening its study."""

from __future__ import annotations

import csv
import functools
import io
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu._kedro import split_params
from kedro_eeipu.errors import ConfigurationError, EEIPUError
from kedro_eeipu.logs import logs_to_stderr
from kedro_eeipu.project.selection import DEFAULT_PIPELINE, Selection

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata

__all__ = [
    "as_csv",
    "format_option",
    "interrupt_on_signals",
    "make_console",
    "place_options",
    "print_csv",
    "print_json",
    "print_json_lines",
    "project_options",
    "reports_errors",
    "selecting",
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
    params = click.option(
        "--params", default="", callback=split_params, help="Parameters, as for `kedro run`."
    )
    return place_options(params(command))


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Those of `project_options` that are no parameters."""
    for option in (
        click.option("--pipeline", "-p", default=DEFAULT_PIPELINE, help="Registered pipeline."),
        click.option("--env", "-e", default=None, help="Configuration environment."),
        click.option("--conf-source", default=None, help="Path of the configuration folder."),
    ):
        command = option(command)
    return command


study_option = click.option(
    "--study", default=None, help="Study (default: named after the pipeline)."
)


def format_option(*more: str) -> Callable[..., Any]:
    """The option that says how something is printed: as text, as JSON, or in other ways."""
    forms = click.Choice(["text", "json", *more])
    return click.option("--format", "form", type=forms, default="text", help="Output format.")


def selecting(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command what its options select, a `Selection`, as its first argument."""

    @functools.wraps(command)
    def wrapper(
        metadata: ProjectMetadata,
        pipeline: str = DEFAULT_PIPELINE,
        env: str | None = None,
        params: Any = None,
        conf_source: str | None = None,
        study: str | None = None,
        **rest: Any,
    ) -> Any:
        logs_to_stderr()
        path = Path(metadata.project_path)
        return command(Selection(path, study, pipeline, env, params or {}, conf_source), **rest)

    asked: Callable[..., Any] = click.pass_obj(reports_errors(wrapper))
    return asked


def study_query(command: Callable[..., Any]) -> Callable[..., Any]:
    """What every command that shows something of a study takes: which study, and which format.

    The command is given the selection and `form`.
    """
    return project_options(study_option(format_option()(selecting(command))))


def interrupt_on_signals() -> Callable[[], bool]:
    """Let a polite kill end the running trial as Ctrl-C does.

    Returns:
        Tells whether either has come. Where Python calls a finalizer or a callback of its garbage
        collector, it swallows the exception that a signal raises; in a finalizer, which would also
        print it, none is raised.
    """
    came = threading.Event()

    def interrupt(number: int, frame: Any) -> None:
        came.set()
        while frame is not None:
            if frame.f_code.co_name == "__del__":
                return
            frame = frame.f_back
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored
        signal.signal(signal.SIGINT, interrupt)
    return came.is_set


def make_console(quiet: bool = False) -> Any:
    """Where tables go: cut at the width of a terminal, and whole into a pipe or a file.

    In a notebook, too, they are text: rich would put each line into its own block.
    """
    from rich.console import Console

    console = Console(quiet=quiet, force_jupyter=False)
    if not console.is_terminal:
        console.width = _UNCUT
    return console


def warn(warnings: Sequence[str]) -> None:
    """Print warnings to stderr."""
    for warning in warnings:
        click.secho(f"Warning: {warning}", fg="yellow", err=True)


def print_csv(rows: Iterable[Sequence[Any]]) -> None:
    """Print rows to stdout as CSV."""
    click.echo(as_csv(rows), nl=False)


def as_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as the text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def print_json(document: Any) -> None:
    """Print one document to stdout."""
    click.echo(json.dumps(document, indent=2))


def print_json_lines(entries: Iterable[Any]) -> None:
    """One document, a list with an entry a line: for long ones, where indenting takes seconds."""
    click.echo("[" + ",\n ".join(map(json.dumps, entries)) + "]")


def write_page(page: str, target: Path, name: str) -> None:
    """Write a page or another text.

    Raises:
        ConfigurationError: It cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {name} ({error})", where="--output") from None
