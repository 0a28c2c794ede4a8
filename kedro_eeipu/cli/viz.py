"""``kedro eeipu viz``: Kedro-Viz with the trials of a study in it."""

from __future__ import annotations

import errno
import signal
import socket
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from kedro_eeipu.cli.common import (
    interrupt_on_signals,
    project_options,
    selecting,
    study_option,
    warn,
)
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.wording import counted

if TYPE_CHECKING:
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.project.selection import Selection
    from kedro_eeipu.study.records import TrialRecord

__all__ = ["viz"]


@click.command()
@project_options
@study_option
@click.option("--trial", "number", type=int, default=None, help="Trial (default: the best).")
@click.option("--against", type=int, default=None, help="A second trial to show beside it.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option(
    "--port",
    default=4141,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to serve on.",
)
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Write a static site into this folder instead of serving.",
)
@selecting
def viz(
    selection: Selection,
    number: int | None,
    against: int | None,
    host: str,
    port: int,
    save: Path | None,
) -> None:
    """Serve Kedro-Viz with the intermediate datasets of a trial in it.

    The page has a picker of trials; new ones appear in it while `tune` runs.
    """
    project, opened = selection.load_study()

    from kedro_eeipu.viz import app

    version = app.require_kedro_viz()
    trial = app.shown_trial(opened, number)
    beside = [app.shown_trial(opened, against)] if against is not None else []
    if version not in app.TESTED:
        problem = f"Kedro-Viz {version} was not tested (tested: {app.TESTED}): `kedro viz run"
        warn([f"{problem} --include-hooks` shows trial {trial.number}, without a picker."])
        if beside or save or project.conf_source:
            raise ConfigurationError(
                "a second trial, a static site and --conf-source need a tested Kedro-Viz",
                remedy=f"pip install 'kedro-viz{app.TESTED}'",
            )
        sys.exit(_run_fallback(project, trial, host, port))
    query = "&".join([f"trial={trial.number}", *(f"against={other.number}" for other in beside)])
    if save is not None:
        from kedro_eeipu.viz.site import save_site

        written = save_site(project, opened, [t.number for t in (trial, *beside)], save)
        click.echo(f"Wrote {counted(len(written), 'trial')} into {save}: index.html?{query}")
        click.echo(f"Any web server shows it: python -m http.server --directory {quote(str(save))}")
        return

    _require_free(host, port)
    served = app.create_app(project, opened, host)
    import uvicorn

    click.echo(f"Study {opened.name}: http://{host}:{port}/?{query} (Ctrl-C ends)")
    uvicorn.run(served, host=host, port=port, log_config=None)


def _run_fallback(project: Project, trial: TrialRecord, host: str, port: int) -> int:
    """Show a trial by `kedro viz run` until it ends; returns its exit status."""
    from kedro_eeipu.viz.fallback import LARGEST_PORT, command, serve

    if port > LARGEST_PORT:
        raise ConfigurationError(
            f"Kedro-Viz serves on no port above {LARGEST_PORT}",
            where="--port",
            remedy="Name a smaller one.",
        )
    _require_free(host, port)
    interrupt_on_signals()
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup and signal.getsignal(hangup) == signal.SIG_DFL:  # not started with nohup
        signal.signal(hangup, signal.getsignal(signal.SIGTERM))
    return serve(project, trial, command(project, host, port))


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        # As the server will, which need not wait for what an earlier one has closed.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            is_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
            raise ConfigurationError(
                f"cannot serve on {host}:{port} ({error.strerror})",
                where="--host" if is_host else "--port",
                remedy="Name an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all."
                if is_host
                else "Name another port.",
            ) from None
