"""Ending a trial that takes too long, with the process that runs it.

Nothing in Python ends a function that hangs, but a process can be ended. So a worker watches the
clock of its own trial, tells why, and kills itself; Dask starts another one in its place.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from kedro_eeipu import processes
from kedro_eeipu.hooks.run import PlannedRun
from kedro_eeipu.project.project import Project
from kedro_eeipu.states import NodeState
from kedro_eeipu.wording import duration

__all__ = ["TOPIC", "Watch", "tell_scheduler"]

TOPIC = "eeipu-timeouts"  # of events that a worker logs with the scheduler
_LOOK_SECONDS = 0.25
# So long after its time a trial is ended that keeps the interpreter to itself.
_GRACE_SECONDS = 10.0


class Watch:
    """Watches the trial that runs in this process; a context manager.

    Args:
        project: The project, with its timeouts.
        run: The trial's run.
        tell: Called with the reason before this process ends itself.
    """

    def __init__(self, project: Project, run: PlannedRun, tell: Callable[[str], None]) -> None:
        self._project = project
        self._run = run
        self._directory = run.directory
        self._tell = tell
        self._ended = threading.Event()
        self._began: dict[str, float] = {}  # when a node was first seen running

    def __enter__(self) -> Watch:
        if self._project.has_timeouts:
            threading.Thread(target=self._look, name="eeipu-timeout", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._project.has_timeouts:
            faulthandler.cancel_dump_traceback_later()

    def _look(self) -> None:
        used, last = 0.0, time.monotonic()
        while not self._ended.wait(_LOOK_SECONDS):
            now = time.monotonic()
            with contextlib.suppress(FileNotFoundError):  # the run has just ended
                running = self._running()
                if running or not self._directory.is_waiting():
                    used += now - last
                if reason := self._overdue(running, used, now):
                    self._end(reason, running, now)
                self._arm(running, used, now)
            last = now

    def _running(self) -> dict[str, Any]:
        events = self._directory.nodes()
        return {n: e for n, e in events.items() if e["status"] == NodeState.RUNNING}

    def _left(self, running: dict[str, Any], used: float, now: float) -> dict[str, float]:
        """Seconds that are left, by the name of a node; by "" for the whole trial."""
        left = {}
        if self._project.space.timeout is not None:
            left[""] = self._project.space.timeout - used
        self._began = {name: self._began.get(name, now) for name in running}
        for name, began in self._began.items():
            timeout = self._project.settings.timeout(name)
            if timeout is not None:
                left[name] = timeout - (now - began)
        return left

    def _overdue(self, running: dict[str, Any], used: float, now: float) -> str:
        for name, left in self._left(running, used, now).items():
            if left < 0:
                timeout = self._project.settings.timeout(name) if name else None
                limit = duration(timeout or self._project.space.timeout or 0.0)
                what = f"node {name}" if name else "the trial"
                return f"timed out: {what} ran longer than {limit}"
        return ""

    def _arm(self, running: dict[str, Any], used: float, now: float) -> None:
        """Let C code end this process should Python get no turn."""
        left = self._left(running, used, now)
        if left:
            seconds = max(0.0, min(left.values())) + _GRACE_SECONDS
            with contextlib.suppress(Exception), open(os.devnull, "w") as nowhere:
                faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)

    def _end(self, reason: str, running: dict[str, Any], now: float) -> None:
        for name, event in running.items():
            seconds = now - self._began.get(name, now)
            ended = {**event, "status": NodeState.FAILED, "seconds": seconds, "error": reason}
            self._directory.put_node(name, ended)
        self._tell(reason)
        if not self._ended.wait(_LOOK_SECONDS):  # it may have ended at the last moment
            with contextlib.suppress(Exception):
                if self._run.plan is not None:
                    self._run.plan.close()  # nobody need wait for its leases
            _kill_with_children()


def tell_scheduler(run_id: str) -> Callable[[str], None]:
    """What tells the tuning process, through Dask's scheduler, why a run is ended."""
    from distributed import get_worker

    worker = get_worker()
    return lambda reason: worker.log_event(TOPIC, {"run": run_id, "reason": reason})


def _kill_with_children() -> None:
    """End this process and those that it has started, of Kedro's ParallelRunner for example."""
    with contextlib.suppress(Exception):
        import psutil

        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    processes.kill(os.getpid())
