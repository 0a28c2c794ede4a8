"""What the process of an audit is asked to run, and what it answers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kedro.runner import SequentialRunner

from kedro_eeipu.cache.store.store import Blob, Store
from kedro_eeipu.errors import error_text
from kedro_eeipu.hooks.audited_run import AuditedRun, NotAuditedError, same_outputs
from kedro_eeipu.hooks.fresh_run import FreshRun
from kedro_eeipu.hooks.run_directory import RunDirectory
from kedro_eeipu.project.project import Project

__all__ = ["Answer", "NodeTask", "ReplayTask", "Task", "run_task"]


@dataclass(frozen=True)
class NodeTask:
    """Run a node with its inputs from the cache.

    Attributes:
        params: Values by dotted path, of the trial.
        node: Name of the node.
        key: The key of its record.
        outputs: Digest and size of each output in the record.
        before: Names of other nodes that run before it.
        earlier: Folder of an earlier execution, which is compared with, too.
        anew: Whether it needs another process than the tasks before it.
    """

    params: Mapping[str, Any]
    node: str
    key: str
    outputs: tuple[tuple[str, int], ...]
    before: tuple[str, ...] = ()
    earlier: str = ""
    anew: bool = False


@dataclass(frozen=True)
class ReplayTask:
    """Run the first nodes of a trial, nothing from the cache.

    Attributes:
        params: Values by dotted path, of the trial.
        expected: Digest and size of each output in the trial, by node, in their order.
        watched: Name of a node whose outputs are kept in the folder.
        earlier: Folder of an earlier execution of this node, for a comparison.
        anew: Whether it needs another process than the tasks before it.
    """

    params: Mapping[str, Any]
    expected: Mapping[str, tuple[tuple[str, int], ...]]
    watched: str = ""
    earlier: str = ""
    anew: bool = False


_OUTPUTS = "outputs"

Task = NodeTask | ReplayTask


@dataclass(frozen=True)
class Answer:
    """The result.

    Attributes:
        same: Whether the node returned what its record holds, ``None`` where that is not known.
        as_earlier: Whether it returned what it did in the earlier execution, ``None`` if unknown.
        differing: Of a replay, the nodes that returned something else than in the trial.
        value: Of a replay, its objective.
        skipped: Why the node could not be run by itself; empty if it could.
        error: What it raised; empty if it did not.
        seconds: What the nodes took.
        folder: Where the outputs are, for as long as the same record is looked into.
        place: Digest of the kind of machine and the libraries here.
    """

    same: bool | None = None
    as_earlier: bool | None = None
    differing: tuple[str, ...] = ()
    value: float | None = None
    skipped: str = ""
    error: str = ""
    seconds: float = 0.0
    folder: str = ""
    place: str = ""


def run_task(project: Project, task: Task, folder: Path) -> Answer:
    """Run a task in this process, which has not run any node before.

    Args:
        project: The project.
        task: The task.
        folder: A new, empty folder.
    """
    run = _run_node if isinstance(task, NodeTask) else _replay
    try:
        with project.quiet():
            return run(project, task, folder)  # type: ignore[arg-type]
    except NotAuditedError as reason:
        return Answer(skipped=str(reason))
    except BaseException as error:  # a node may raise anything
        return Answer(error=project.redactor.text(error_text(error)))


def _run_node(project: Project, task: NodeTask, folder: Path) -> Answer:
    needed = project.registered.to_nodes(task.node, *task.before)
    run = AuditedRun(
        folder.name,
        project.planner,
        RunDirectory(folder, hide=project.redactor.text),
        seeded=project.seeded,
        nodes=frozenset(node.name for node in needed.nodes),
        node=task.node,
        key=task.key,
        before=task.before,
    )
    project.execute(run, task.params, SequentialRunner())
    outputs = [output.blob for output in run.outputs]
    recorded = [Blob(digest, size, 0.0) for digest, size in task.outputs]
    scratch = run.directory.scratch
    answer = Answer(
        same=same_outputs(scratch, outputs, project.store, recorded),
        seconds=sum(e["seconds"] for e in run.directory.nodes().values()),
        folder=str(folder),
        place=project.world.place,
    )
    _keep(outputs, folder)
    return replace(answer, as_earlier=_as_earlier(scratch, outputs, task.earlier))


def _keep(outputs: Sequence[Blob], folder: Path) -> None:
    """Note which outputs are in the folder, for a comparison later."""
    (folder / _OUTPUTS).write_text("\n".join(f"{b.digest} {b.size}" for b in outputs))


def _as_earlier(store: Store, outputs: Sequence[Blob], folder: str) -> bool | None:
    """Whether a node returned what it did in an earlier execution."""
    if not folder:
        return None
    lines = (Path(folder) / _OUTPUTS).read_text().splitlines()
    earlier = [Blob(digest, int(size), 0.0) for digest, size in map(str.split, lines)]
    return same_outputs(store, outputs, Store(str(Path(folder) / "scratch")), earlier)


def _replay(project: Project, task: ReplayTask, folder: Path) -> Answer:
    run = FreshRun(
        folder.name,
        folder,
        project.store,
        project.space.objective,
        expected=task.expected,
        nodes=frozenset(task.expected),
        keeps=False,
        watched=task.watched,
    )
    try:
        project.execute(run, task.params, SequentialRunner())
        answer = Answer(
            as_earlier=_as_earlier(run.scratch, run.returned, task.earlier),
            differing=tuple(run.differing),
            value=run.value,
            seconds=sum(run.seconds.values()),
        )
    finally:
        if not task.watched:
            shutil.rmtree(folder, ignore_errors=True)
    if not run.returned:
        return answer
    _keep(run.returned, folder)
    return replace(answer, folder=str(folder))
