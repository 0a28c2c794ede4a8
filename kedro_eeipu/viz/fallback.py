"""A trial in a release of Kedro-Viz that `Answers` was not tested with: ``kedro viz run``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kedro_eeipu.viz.fallback_catalog import trial_document
from kedro_eeipu.viz.plugin import TRIAL_VARIABLE

if TYPE_CHECKING:
    from kedro_eeipu.project.project import Project
    from kedro_eeipu.study.records import TrialRecord

__all__ = ["LARGEST_PORT", "command", "serve"]

# `kedro viz run` ends in a traceback above it.
LARGEST_PORT = 49151
_GRACE_SECONDS = 5
_LOOK_SECONDS = 1


def command(project: Project, host: str, port: int) -> list[str]:
    """The command that serves Kedro-Viz with hooks."""
    words = [sys.executable, "-m", "kedro", "viz", "run", "--include-hooks", "--no-browser"]
    words += ["--host", host, "--port", str(port), "--pipeline", project.pipeline_name]
    return [*words, "--env", project.env] if project.env else words


def serve(project: Project, trial: TrialRecord, arguments: Sequence[str]) -> int:
    """Run a command with the trial in its catalog until it ends; returns its exit status.

    Interrupted, it ends the command with all that it has started: Kedro-Viz serves from a process
    of its own, which would hold the port.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "trial.json"
        file.write_text(json.dumps(trial_document(project, trial), default=str))
        environment = {**os.environ, TRIAL_VARIABLE: str(file)}
        server = subprocess.Popen(
            arguments, cwd=project.path, env=environment, start_new_session=True
        )
        try:
            return _wait(server)
        except KeyboardInterrupt:
            return 0
        finally:
            _end(server)


def _wait(server: subprocess.Popen[bytes]) -> int:
    """Wait for a process to end, looking now and then.

    Libraries that handle Ctrl-C themselves (polars does) let a waiting system call continue after
    it, so a wait without an end would never hear of it.
    """
    while True:
        try:
            return server.wait(_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session, and all of that session."""
    if not hasattr(os, "killpg"):  # Windows
        server.kill()
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(_GRACE_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
