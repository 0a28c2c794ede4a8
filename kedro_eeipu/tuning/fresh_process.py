"""A process that has imported nothing of the project, and where it finds it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from kedro.framework.startup import bootstrap_project

from kedro_eeipu.config.frozen import ConfigurationSnapshot, PortableSnapshot
from kedro_eeipu.logs import logs_to_stderr
from kedro_eeipu.project.project import Project

__all__ = ["FreshProject", "end", "end_group", "start"]

# Dask gives its workers one thread each; with more, sums may differ in their last digits.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class FreshProject:
    """What a fresh process loads.

    Attributes:
        path: The project's root.
        env: Configuration environment.
        pipeline: Name in the registry.
        conf_source: Another configuration folder.
        runtime_params: What the user gave with ``--params``.
        configuration: What the other process has read of the configuration, credentials left out.
        search_path: Where modules are looked for.
    """

    path: Path
    env: str | None
    pipeline: str
    conf_source: str | None
    runtime_params: Mapping[str, Any]
    configuration: PortableSnapshot = field(default_factory=dict)
    search_path: tuple[str, ...] = ()

    @classmethod
    def of(cls, project: Project) -> FreshProject:
        """The project as this process has loaded it."""
        return cls(
            path=project.path,
            env=project.env,
            pipeline=project.pipeline_name,
            conf_source=project.conf_source,
            runtime_params=project.runtime_params,
            configuration=project.configuration.portable(),
            search_path=tuple(project.started.get("sys.path", sys.path)),
        )

    def load(self) -> Project:
        """Load it in this process.

        Raises:
            EEIPUError: It cannot be loaded.
        """
        bootstrap_project(self.path)
        logs_to_stderr()
        return Project.load(
            self.path,
            env=self.env,
            pipeline_name=self.pipeline,
            runtime_params=self.runtime_params,
            conf_source=self.conf_source,
            configuration=ConfigurationSnapshot(self.configuration),
        )


def start(
    code: str,
    began: Mapping[str, Any],
    log: IO[bytes],
    *,
    on_worker: bool,
    stdout: Any = None,
) -> subprocess.Popen[bytes]:
    """Start a process that runs some code, and gets its work through its input.

    Args:
        code: Python code.
        began: The state of this process before it ran trials.
        log: Where it prints.
        on_worker: Whether trials ran with one thread.
        stdout: Where its standard output goes instead.
    """
    environment = dict(began.get("the environment variables", os.environ))
    if on_worker:
        environment = {**dict.fromkeys(_THREADS, "1"), **environment}
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return subprocess.Popen(
        [sys.executable, *flags, "-c", code],
        stdin=subprocess.PIPE,
        stdout=log if stdout is None else stdout,
        stderr=log,
        env=environment,
        cwd=began.get("the working directory"),
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process with its children."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def end_group() -> None:
    """End this process and its children."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)
