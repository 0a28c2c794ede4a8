"""``report`` and ``viz``: looking at what a study recorded."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kedro_eeipu.cli.common import (
    load_project,
    open_recorded,
    project_options,
    reports_errors,
    study_option,
    warn,
)
from kedro_eeipu.cli.tuning import interrupt_on_sigterm
from kedro_eeipu.errors import ConfigurationError
from kedro_eeipu.wording import counted

if TYPE_CHECKING:
    from kedro.framework.startup import ProjectMetadata


@click.command()
@project_options
@study_option
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="File to write (default: .eeipu/report.html in the project).",
)
@click.pass_obj
@reports_errors
def report(
    metadata: ProjectMetadata, study: str | None, output: Path | None, **options: Any
) -> None:
    """Write one HTML page about a study.

    Convergence against cost, what was reused, where the seconds went, which ranges matter.
    """
    from kedro_eeipu.config.redaction import Redactor
    from kedro_eeipu.reporting import report_html

    project = load_project(metadata, **options)
    opened = open_recorded(project, study)
    redactor = Redactor.of(project.session.load_context(project.runtime_params))
    page = report_html(
        [redactor.trial(t) for t in opened.trials()],
        project.stage_graph(),
        project.space,
        study=opened.name,
        maximize=opened.maximize,
    )
    target = output or project.home / "report.html"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write the report ({error})", where="--output") from None
    click.echo(str(target))


@click.command()
@project_options
@study_option
@click.option("--trial", "number", type=int, default=None, help="Trial (default: the best).")
@click.option("--against", type=int, default=None, help="A second trial, to be shown beside it.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option("--port", default=4141, show_default=True, type=int, help="Port to serve on.")
@click.option(
    "--save",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Write a static site into this folder instead of serving.",
)
@click.pass_obj
@reports_errors
def viz(
    metadata: ProjectMetadata,
    study: str | None,
    number: int | None,
    against: int | None,
    host: str,
    port: int,
    save: Path | None,
    **options: Any,
) -> None:
    """Serve Kedro-Viz with the intermediate datasets of a trial in it.

    The page has a picker of trials; new ones appear in it while `tune` runs.
    """
    project = load_project(metadata, **options)
    opened = open_recorded(project, study)

    from kedro_eeipu.viz import app

    version = app.require_kedro_viz()
    trial = app.shown_trial(opened, number)
    beside = [app.shown_trial(opened, against)] if against is not None else []
    if version not in app.TESTED:
        told = f"Kedro-Viz {version} was not tested (tested: {app.TESTED}): `kedro viz run"
        warn([f"{told} --include-hooks` shows trial {trial.number}, without a picker."])
        if beside or save or project.conf_source:
            raise ConfigurationError(
                "a second trial, a static site and --conf-source need a tested Kedro-Viz",
                remedy=f"pip install 'kedro-viz{app.TESTED}'",
            )
        from kedro_eeipu.viz.fallback import LARGEST_PORT, command, serve

        if port > LARGEST_PORT:
            raise ConfigurationError(
                f"Kedro-Viz serves on no port above {LARGEST_PORT}",
                where="--port",
                remedy="Name a smaller one.",
            )
        _require_free(host, port)
        interrupt_on_sigterm()
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # not started with nohup
            signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
        sys.exit(serve(project, trial, command(project, host, port)))
    query = "&".join([f"trial={trial.number}", *(f"against={other.number}" for other in beside)])
    if save is not None:
        from kedro_eeipu.viz.site import save_site

        written = save_site(project, opened, [t.number for t in (trial, *beside)], save)
        click.echo(f"Wrote {counted(len(written), 'trial')} into {save}: index.html?{query}")
        click.echo(f"Any web server shows it: python -m http.server --directory {save}")
        return

    _require_free(host, port)
    served = app.create_app(project, opened)
    import uvicorn

    click.echo(f"Study {opened.name}: http://{host}:{port}/?{query} (Ctrl-C ends)")
    uvicorn.run(served, host=host, port=port, log_config=None)


def _require_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        # As the server will, which need not wait for what an earlier one has closed.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"cannot serve on {host}:{port} ({error.strerror})",
                where="--port",
                remedy="Name another port.",
            ) from None
