"""``%eeipu``: the commands in a notebook, as ``%load_ext kedro_eeipu`` adds them."""

from __future__ import annotations

import io
import shlex
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

import click
from kedro.framework.startup import bootstrap_project
from kedro.utils import find_kedro_project

from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.notebook.display import Best, Page

__all__ = ["load_ipython_extension"]

# They end with their own click, or wait for Ctrl-C.
_NOT_HERE = ("viz",)
# With them `best` prints what it is asked for.
_AS_TEXT = {"--format", "--format=json", "--format=text", "--help"}


def load_ipython_extension(ipython: Any) -> None:
    """What ``%load_ext kedro_eeipu`` calls: adds the magic ``%eeipu`` to a shell."""
    ipython.register_magic_function(eeipu, magic_kind="line", magic_name="eeipu")


def eeipu(line: str) -> Any:
    """Run a command of ``kedro eeipu`` in this process, on the project around the notebook.

    ``%eeipu tune --trials 20``, ``%eeipu trials``, ``%eeipu report``: all that the command line
    takes but ``viz``, which would not return. Interrupt the kernel as you would press Ctrl-C.

    Returns:
        Of ``report`` the page, of ``best`` the best trial, else nothing.
    """
    from kedro_eeipu.cli import commands

    arguments = shlex.split(line)
    path = find_kedro_project(Path.cwd())
    try:
        if path is None:
            raise ConfigurationError(
                "there is no Kedro project here",
                where=str(Path.cwd()),
                remedy="Change into one with %cd.",
            )
        if arguments[:1] and arguments[0] in _NOT_HERE:
            raise ConfigurationError(
                f"{arguments[0]} would not return",
                remedy=f"Type `kedro eeipu {line}` in a terminal.",
            )
        is_best = arguments[:1] == ["best"] and not _AS_TEXT & set(arguments)
        with redirect_stdout(io.StringIO()) if is_best else nullcontext():
            result = commands.main(
                ["eeipu", *arguments],
                prog_name="kedro",
                obj=bootstrap_project(Path(path)),
                standalone_mode=False,
            )
        if is_best:
            return Best(*result)
        if arguments[:1] == ["report"] and isinstance(result, Path):
            return Page(result.read_text(encoding="utf-8"))
    except click.ClickException as error:
        error.show()
    except ConfigurationError as error:
        click.echo(f"Error: {error}", err=True)
    except SystemExit:  # the command has said why
        pass
    return None
