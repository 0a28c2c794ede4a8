"""The process from which `KedroProcesses` forks; it is run, and never imported.

What it assigns to `sys` would count as the project's own in all keys.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from quick_libraries import quicken

_PRELOADED = (
    *("kedro.framework.cli", "kedro.framework.session", "kedro_datasets.json", "pandas"),
    "kedro_viz",
    *("kedro_eeipu.cli", "kedro_eeipu.cli.progress", "kedro_eeipu.tuning.runner"),
    *("kedro_eeipu.optimizer", "kedro_eeipu.reporting", "optuna.storages._rdb.storage"),
)


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed while importing is no answer
    for name in _PRELOADED:
        importlib.import_module(name)
    quicken()
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
        sys.excepthook(*sys.exc_info())
        status = 1
    _end(status)


def _end(status: int) -> NoReturn:
    """End as the interpreter does: threads waited for, what was registered for the exit called."""
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
