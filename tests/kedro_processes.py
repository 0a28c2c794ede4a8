"""Processes that run ``kedro …`` without the seconds that importing Kedro and its plugins takes.

A server imports the libraries once, and nothing of a project; each command runs in a fork of it. So
every command still starts in a process of its own that has seen no project.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

_PRELOADED = (
    *("kedro.framework.cli", "kedro.framework.session", "kedro_datasets.json", "pandas"),
    *("kedro_mlflow.framework.cli.cli", "kedro_mlflow.framework.hooks", "kedro_viz"),
    *("kedro_eeipu.cli", "kedro_eeipu.cli.progress", "kedro_eeipu.tuning.runner"),
    *("kedro_eeipu.optimizer", "kedro_eeipu.reporting", "optuna.storages._rdb.storage"),
)


class KedroProcesses:
    """Runs `kedro` in forks of one process, one at a time."""

    def __init__(self) -> None:
        self._server: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(
        self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``kedro`` with these arguments, as `subprocess.run` does.

        Args:
            arguments: Words after ``kedro``.
            cwd: Folder in which it runs.
            env: Its environment variables.
            timeout: Seconds that it may take.

        Raises:
            subprocess.TimeoutExpired: It took longer, and was ended.
        """
        with self._lock, tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            request = {
                "arguments": list(arguments),
                "cwd": str(cwd),
                "env": dict(env),
                "streams": [str(out), str(err)],
                "timeout": timeout,
            }
            status = self._ask(request)
            if status is None:
                raise subprocess.TimeoutExpired(["kedro", *arguments], timeout)
            words = ["kedro", *arguments]
            return subprocess.CompletedProcess(words, status, out.read_text(), err.read_text())

    def _ask(self, request: Mapping[str, Any]) -> int | None:
        if self._server is None or self._server.poll() is not None:
            self._server = subprocess.Popen(
                [sys.executable, "-W", "ignore", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())["status"]

    def close(self) -> None:
        if self._server is not None and self._server.stdin is not None:
            self._server.stdin.close()
            self._server.wait(timeout=30)


def _serve() -> None:
    import importlib

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed while importing is no answer
    for name in _PRELOADED:
        importlib.import_module(name)
    assert threading.active_count() == 1, "a process with threads must not be forked"
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if not pid:
            answers.close()
            _be_kedro(request)
        answers.write(json.dumps({"status": _wait(pid, request["timeout"])}) + "\n")
        answers.flush()


def _be_kedro(request: Mapping[str, Any]) -> NoReturn:
    """Become ``kedro …``, in a process that a fork has just made."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    files = [os.devnull, *request["streams"]]
    for number, (path, flags) in enumerate(
        zip(files, (os.O_RDONLY, *2 * [os.O_WRONLY | os.O_CREAT]), strict=True)
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["kedro", *request["arguments"]]
    sys.path[0] = ""  # as for `python -m kedro`
    status = 0
    try:
        runpy.run_module("kedro", run_name="__main__", alter_sys=True)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        status = 1
    _end(status)


def _end(status: int) -> NoReturn:
    """End as the interpreter does: threads waited for, what was registered for the exit called."""
    import atexit

    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _wait(pid: int, timeout: float) -> int | None:
    """The exit status of a process, ``None`` where it took too long and was killed."""
    end = time.monotonic() + timeout
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(0.01)


if __name__ == "__main__":
    _serve()
