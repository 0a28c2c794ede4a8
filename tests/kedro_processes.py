"""Processes that run ``kedro …`` without the seconds that importing Kedro and its plugins takes.

A server imports the libraries once, and nothing of a project; each command runs in a fork of it. So
every command still starts in a process of its own that has seen no project.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_SERVER = Path(__file__).with_name("kedro_server.py")


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
                [sys.executable, "-W", "ignore", str(_SERVER)],
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
        """End the server, of which nothing is running any more."""
        if self._server is not None:
            self._server.kill()  # a fork of this process may hold its input open
            self._server.wait(timeout=30)
