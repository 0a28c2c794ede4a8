"""The process in which an audit runs nodes: it loads the project once, and forks for each run.

A fork has imported the project and run none of its nodes, as a plain `kedro run` when it begins.
Forks have the order of sets in common, so whether a difference is by chance is asked in another
process. Where a fork is not safe, a process runs one task and ends.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import select
import shutil
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kedro_eeipu._kedro import hook_manager
from kedro_eeipu.config.opening import ensure_home
from kedro_eeipu.errors import EEIPUError, error_text
from kedro_eeipu.hooks.random_generators import GENERATORS, draw_anew
from kedro_eeipu.hooks.run_directory import plan_directory
from kedro_eeipu.hooks.world import World
from kedro_eeipu.project.project import Project
from kedro_eeipu.tuning.audit_tasks import Answer, Task, run_task
from kedro_eeipu.tuning.fresh_process import FreshProject, end, end_group, start

__all__ = ["AuditEndedError", "AuditProcess", "Orders", "main"]

# What imports print goes into the log, not among the answers.
_CODE = """
import os
answers = os.dup(1)
os.dup2(2, 1)
from kedro_eeipu.tuning.audit_process import main
main(answers)
"""
_LOG = "log"
_TAIL = 300
_FORKS = sys.platform == "linux"
# They log runs, and an audit is none.
_NOT_AUDITED = ("kedro_mlflow", "kedro_telemetry")


class AuditEndedError(EEIPUError):
    """The process cannot audit; the message says why."""


@dataclass(frozen=True)
class Orders:
    """What the process is given when it starts.

    Attributes:
        project: The project.
        world: The world of the process that runs trials.
        generators: States of the random generators in which trials begin there, by name.
        folder: Where nodes write.
    """

    project: FreshProject
    world: World
    generators: Mapping[str, Any]
    folder: Path


class AuditProcess:
    """The process, as the one that tunes sees it; it is started when there is something to run.

    Args:
        project: The project.
        on_worker: Whether trials run with one thread.
    """

    def __init__(self, project: Project, *, on_worker: bool = False) -> None:
        self._project = project
        self._on_worker = on_worker
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stop: Callable[[], None] | None = None
        self._tasks: IO[bytes] | None = None
        self._directory = plan_directory(ensure_home(project.path) / "runs")

    @property
    def is_running(self) -> bool:
        """Whether it has been started."""
        return self._stop is not None

    def send(self, task: Task) -> None:
        """Let it run a task; one at a time.

        Raises:
            AuditEndedError: It cannot be started.
        """
        try:
            if task.anew:
                self._end()
            if self._stop is None:
                project = self._project
                generators = {n: s for n, s in project.started.items() if n in GENERATORS}
                orders = Orders(
                    FreshProject.of(project), project.world, generators, self._directory.path
                )
                tasks, answers, self._stop = self._start()
                self._tasks = tasks
                threading.Thread(target=self._read, args=(answers,), daemon=True).start()
                self._write(orders)
            self._write(task)
        except (OSError, pickle.PicklingError, TypeError, AttributeError) as error:
            raise AuditEndedError(str(error)) from None

    def poll(self, seconds: float) -> Answer | None:
        """The answer to the task, ``None`` if there is none after so many seconds.

        Raises:
            AuditEndedError: The process has ended, or cannot load the project.
        """
        try:
            answer = self._answers.get(seconds > 0, seconds)
        except queue.Empty:
            return None
        if not isinstance(answer, Answer):
            reason = answer or f"its process ended: {self._last_words()}"
            self.close()
            raise AuditEndedError(str(reason))
        if not _FORKS:
            self._end()
        return answer

    def _last_words(self) -> str:
        try:
            log = (self._directory.path / _LOG).read_bytes()
        except OSError:
            return ""
        return log[-_TAIL:].decode(errors="replace").strip()

    def close(self) -> None:
        """End it, and delete what its nodes wrote."""
        self._end()
        self._directory.remove()

    def _end(self) -> None:
        if self._stop is not None:
            self._stop()
            self._stop, self._answers = None, queue.SimpleQueue()

    def _write(self, what: Any) -> None:
        assert self._tasks is not None
        self._tasks.write(pickle.dumps(what))
        self._tasks.flush()

    def _read(self, answers: IO[bytes]) -> None:
        into = self._answers
        with contextlib.suppress(Exception):
            while True:
                into.put(pickle.load(answers))
        into.put(None)

    def _start(self) -> tuple[IO[bytes], IO[bytes], Callable[[], None]]:
        """Where tasks go, whence answers come, and what ends the process."""
        import subprocess

        with open(self._directory.path / _LOG, "wb") as log:
            process = start(
                _CODE,
                self._project.started,
                log,
                on_worker=self._on_worker,
                stdout=subprocess.PIPE,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        return process.stdin, process.stdout, lambda: end(process)


def main(answers: int) -> None:
    """Answer the tasks that are written to this process's input, until it is closed.

    Args:
        answers: The descriptor to which answers are written.
    """
    given = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # nodes read nothing
    serve(given, os.fdopen(answers, "wb"))


def serve(given: IO[bytes], answers: IO[bytes]) -> None:
    """Answer tasks until there are no more.

    Args:
        given: Where `Orders` and tasks come from.
        answers: Where answers go.
    """

    def answer(what: Any) -> None:
        answers.write(pickle.dumps(what))
        answers.flush()

    orders: Orders = pickle.load(given)
    if orders.project.search_path:
        sys.path[:] = orders.project.search_path
    try:
        project = orders.project.load()
        _check(project.world, orders.world)
    except EEIPUError as error:
        answer(str(error))
        return
    # Those that begin alike in two processes were seeded when the project was imported.
    seeded = {n for n, s in orders.generators.items() if project.started.get(n) == s}
    manager = hook_manager(project.session)
    for _, plugin in manager.list_name_plugin():
        if type(plugin).__module__.split(".")[0] in _NOT_AUDITED:
            manager.unregister(plugin)
    folders: set[str] = set()
    for number in range(sys.maxsize):
        try:
            task: Task = pickle.load(given)
        except EOFError:
            return
        for old in folders - {task.earlier}:
            shutil.rmtree(old, ignore_errors=True)
        folders &= {task.earlier}
        folder = orders.folder / f"audit-{os.getpid()}-{number}"
        if _FORKS:
            result = _in_child(project, task, folder, given, seeded)
        else:
            result = run_task(project, task, folder)
        folders.add(str(folder))
        answer(result)
        if not _FORKS:
            return


def _check(here: World, there: World) -> None:
    """Refuse to audit another project than the one that trials run.

    Raises:
        AuditEndedError: A file was edited since.
    """
    files = {n for n in here.files.keys() & there.files.keys() if here.files[n] != there.files[n]}
    if files:
        raise AuditEndedError(f"{min(files)} was edited since `tune` started")


def _in_child(
    project: Project, task: Task, folder: Path, given: IO[bytes], seeded: Collection[str]
) -> Answer:
    """Run a task in a fork; where nobody waits for the answer any more, end.

    Args:
        project: The project.
        task: The task.
        folder: A new, empty folder.
        given: What is closed when nobody waits.
        seeded: Random generators that begin alike in every process.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as out:
                out.write(_answer(project, task, folder, seeded))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as incoming:
        answer = b""
        while True:
            ready, _, _ = select.select([incoming, given], [], [])
            if given in ready:
                end_group()
            part = incoming.read(1 << 16)
            if not part:
                break
            answer += part
    _, status = os.waitpid(child, 0)
    try:
        result: Answer = pickle.loads(answer)
    except (EOFError, pickle.UnpicklingError):  # it was killed before it had answered
        code = os.waitstatus_to_exitcode(status)
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return Answer(error=f"its process ended {how}")
    return result


def _answer(project: Project, task: Task, folder: Path, seeded: Collection[str]) -> bytes:
    try:
        project.started = {**project.started, **draw_anew(seeded)}
        return pickle.dumps(run_task(project, task, folder))
    except Exception as error:
        return pickle.dumps(Answer(error=project.redactor.text(error_text(error))))
